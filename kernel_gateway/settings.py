"""Everything there is to set: one section a folder, each modelled beside what it sets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from catalog.reviewed import REVIEWED, SPECS
from kernel_gateway.approvals.settings import ApprovalSettings
from kernel_gateway.audit.observation_settings import LogSettings, MetricsSettings, TraceSettings
from kernel_gateway.audit.segments import SEGMENT_SECONDS
from kernel_gateway.audit.settings import AuditSettings
from kernel_gateway.auth.settings import AuthSettings
from kernel_gateway.config import Section, complaint
from kernel_gateway.frontends.mcp_settings import McpSettings
from kernel_gateway.frontends.settings import ServerSettings
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.limits.settings import LimitSettings
from kernel_gateway.limits.switch_settings import SwitchSettings
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.sandbox.settings import SandboxSettings
from kernel_gateway.sessions.settings import SessionSettings
from kernel_gateway.store.settings import StoreSettings
from kernel_gateway.upstreams.settings import UpstreamSettings


class CatalogSettings(Section):
    """Where the reviewed documents are, and the file that pins them."""

    specs: Path = SPECS
    reviewed: Path = REVIEWED


class Settings(Section):
    """Everything there is to set, a section a folder."""

    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    store: StoreSettings = StoreSettings()
    audit: AuditSettings = AuditSettings()
    catalog: CatalogSettings = CatalogSettings()
    policy: PolicySettings = PolicySettings()
    approvals: ApprovalSettings = ApprovalSettings()
    limits: LimitSettings = LimitSettings()
    switch: SwitchSettings = SwitchSettings()
    sandbox: SandboxSettings = SandboxSettings()
    kernels: KernelSettings = KernelSettings()
    sessions: SessionSettings = SessionSettings()
    mcp: McpSettings = McpSettings()
    metrics: MetricsSettings = MetricsSettings()
    logs: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()
    upstreams: dict[str, UpstreamSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _records_outlive_the_sessions_they_anchor(self) -> Self:
        """A session's newest record says which of its checkpoints is the newest; records go by the day."""
        longest = (self.audit.retention_days - 1) * SEGMENT_SECONDS
        if self.sessions.ttl_seconds > longest:
            raise ValueError(
                f"`sessions.ttl_seconds` may be {longest:g} at most, a day less than `audit.retention_days`: "
                "shorten it, or keep records for longer"
            )
        return self

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Settings":
        """Raises ConfigError, naming the first wrong key and where it was written."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise complaint(error, values) from None
