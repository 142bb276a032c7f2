"""The `[policy]` section: what may happen at all, in words that need no policy language. Read again while it runs."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from kernel_gateway.config import Section

RiskName = Literal["low", "medium", "high", "critical"]
Rollout = Literal["open", "pilot-read", "controlled-write", "canary"]


class PolicySettings(Section):
    """Operations are named `server:operation` or `server:*`. Times in seconds."""

    enabled: bool = True
    rollout: Rollout = "open"
    allow_mutations: bool = True
    read_only_mode: bool = False
    allowed_operations: tuple[str, ...] = ()  # empty: all that are reviewed
    blocked_operations: tuple[str, ...] = ()
    blocked_fields: tuple[str, ...] = ()
    denied_modules: tuple[str, ...] = ()
    max_calls: int | None = Field(None, ge=1)
    token_ttl_seconds: float = Field(300.0, gt=0)  # long enough to read a plan, too short to keep a yes in stock
    auto_approve_risk: RiskName = "medium"  # what can be undone runs by itself
    staging_hosts: tuple[str, ...] = ()
    canary_share: float = Field(0.1, ge=0, le=1)  # enough callers to see a fault, few enough to bear it
    controlled_calls_per_cell: int = Field(5, ge=1)  # a cell that a person still follows call by call
    controlled_calls_per_session: int = Field(25, ge=1)  # a quarter of what a session makes otherwise
    controlled_writes_per_cell: int = Field(1, ge=0)  # one change, then somebody looks
    controlled_cells_per_minute: int = Field(6, ge=1)  # of one caller: somebody can look at each before the next
    controlled_calls_per_minute: int = Field(20, ge=1)  # of one caller: some three to each of those cells
    files: tuple[Path, ...] = ()
    reload_seconds: float = Field(1.0, gt=0)  # reading a few small files that often costs nothing

    def per_minute(self, kind: str) -> int | None:
        """How often a caller may come in this phase, besides `limits.rates`: `kind` is execute, call or another."""
        if self.rollout != "controlled-write":
            return None
        return {"execute": self.controlled_cells_per_minute, "call": self.controlled_calls_per_minute}.get(kind)
