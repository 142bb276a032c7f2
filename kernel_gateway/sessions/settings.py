"""The `[sessions]` section: how many, how long, how large."""

from typing import Literal

from pydantic import Field

from kernel_gateway.config import Section


class SessionSettings(Section):
    max_sessions: int = Field(50, ge=1)
    """Live kernels on this host: each holds 40 to 100 MiB."""
    max_sessions_per_principal: int = Field(25, ge=1)
    """An agent needs one or two, a team behind one token some more; half of the host belongs to others."""
    idle_seconds: float = Field(1800.0, gt=0)
    """A session nobody used for this long is closed, and its variables with it."""
    max_wait_seconds: float = Field(30.0, ge=0)
    """How long a cell waits for its turn on a busy session before it is refused."""
    max_waiting: int = Field(4, ge=0)
    """Cells that may wait for their turn on one session."""
    max_timeout_seconds: float = Field(600.0, gt=0, le=600)
    """The longest deadline a caller may ask for."""
    max_code_bytes: int = Field(64 * 1024, ge=1024, le=64 * 1024)
    """One cell's source; the published schema says the same."""
    answer_ttl_seconds: float = Field(600.0, gt=0)
    """How long the answer to a `request_id` is kept, in memory only."""
    max_answers: int = Field(256, ge=1)
    """Answers kept for one caller at once; beyond it a new `request_id` is refused."""
    max_answer_bytes: int = Field(64 * 1024 * 1024, ge=1024)
    """The same in bytes of text and pictures: room for some thirty full answers."""
    reap_interval_seconds: float = Field(15.0, gt=0)
    source: Literal["kept", "digest-only"] = "kept"
    """Whether the text of cells is kept, encrypted, while their session lives; else none is shown or run again."""
