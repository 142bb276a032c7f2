"""The `[switch]` section: how the kill switch stops what runs."""

from pydantic import Field

from kernel_gateway.config import Section


class SwitchSettings(Section):
    """Times in seconds."""

    grace_seconds: float = Field(0.5, ge=0, le=10)
    """Between the interrupt of a cell and the end of its kernel: an honest cell ends within it, all of them in 2 s."""
    watch_seconds: float = Field(0.25, gt=0, le=10)
    """How soon a gateway sees what another one on the same state folder was told."""
