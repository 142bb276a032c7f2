"""The `[approvals]` section: how long is waited for an answer, how much may wait, and who may answer."""

from pydantic import Field

from kernel_gateway.config import Section


class ApprovalSettings(Section):
    pause_seconds: float = Field(300.0, gt=0, le=3600)
    """A call inside a running cell waits this long; its kernel holds memory meanwhile."""
    cell_pause_seconds: float = Field(900.0, gt=0, le=3600)
    """All pauses of one cell together: three that nobody answers. Its other threads go on meanwhile."""
    person_seconds: float = Field(3600.0, gt=0, le=24 * 3600)
    """A whole cell waits this long for another person, who may be in a meeting; nothing runs meanwhile."""
    join_seconds: float = Field(20.0, ge=0, le=60)
    """Who asks again for a cell that is still paused hears so after this long: below usual time-outs of clients."""
    max_waiting_per_principal: int = Field(50, ge=1)
    """Questions of one caller that wait at once: two for each of its sessions; a person reads them all."""
    max_waiting: int = Field(1000, ge=1)
    """Questions of all callers that wait at once: at the largest, with 64 KiB of text each, 64 MiB of memory."""
    max_shown_chars: int = Field(8000, ge=500, le=16_000)
    """A call's arguments as an approver sees them, two screens full; what is longer is refused, not cut."""
    clients: tuple[str, ...] = ()
    """Only tokens of these clients may approve for others; empty: of any that never searched or opened a session."""
