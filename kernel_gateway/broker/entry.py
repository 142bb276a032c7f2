"""What the journal will hold of one call."""

from dataclasses import dataclass

from kernel_gateway.audit.bounds import UNKNOWN_OPERATION


@dataclass(slots=True)
class Entry:
    """Filled in as it becomes known: a crash leaves the truth so far."""

    operation: str = UNKNOWN_OPERATION
    effect: str = ""
    decision: str = "deny"
    rule: str = "unknown_operation"
    approver: str = ""
    status: str = "internal"
    http_status: int = 0
    request_bytes: int = 0
    answer_bytes: int = 0
    replayed: bool = False
