"""The `[policy]` section: what may happen, and who has to agree."""

from pydantic import Field

from kernel_gateway.config import Section
from kernel_gateway.policy.risk import Risk


class PolicySettings(Section):
    auto_approve_risk: Risk = Risk.MEDIUM
    """Up to this risk a cell or a call runs without being asked about."""
    denied_modules: tuple[str, ...] = ()
    """Modules that a cell may not import."""
    token_ttl_seconds: float = Field(300.0, gt=0, le=3600)
    """How long an approval token can be used."""
