"""Anticipated failures: one class, one table of stable codes. All else is a crash, and its text stays on the host."""

from dataclasses import dataclass
from enum import StrEnum


class Acts(StrEnum):
    """Who can make it work."""

    CALLER = "caller"
    LATER = "later"  # the same caller, after waiting
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Code:
    """What a stable code means to a client: its HTTP status, whether the same request may be sent again, who acts."""

    http: int
    retryable: bool
    acts: Acts


CODES: dict[str, Code] = {
    "unauthenticated": Code(401, False, Acts.CALLER),
    "denied": Code(403, False, Acts.CALLER),
    "invalid": Code(400, False, Acts.CALLER),
    "approval_required": Code(403, False, Acts.CALLER),
    "not_found": Code(404, False, Acts.CALLER),
    "not_available": Code(404, False, Acts.CALLER),
    "conflict": Code(409, False, Acts.CALLER),
    "limited": Code(429, True, Acts.LATER),
    "busy": Code(429, True, Acts.LATER),
    "too_large": Code(413, False, Acts.CALLER),
    "misdirected": Code(421, False, Acts.CALLER),
    "disabled": Code(503, False, Acts.OPERATOR),
    "plan_exceeded": Code(403, False, Acts.CALLER),
    "approval_denied": Code(403, False, Acts.CALLER),
    "approval_changed": Code(403, False, Acts.CALLER),
    "approval_session": Code(403, False, Acts.CALLER),
    "approval_used": Code(403, False, Acts.CALLER),
    "approval_expired": Code(403, False, Acts.CALLER),
    "approval_catalog": Code(403, False, Acts.CALLER),
    "approval_policy": Code(403, False, Acts.CALLER),
    "approval_state": Code(403, False, Acts.CALLER),
    "approval_invalid": Code(403, False, Acts.CALLER),
    "deadline": Code(504, True, Acts.LATER),
    "upstream": Code(502, False, Acts.LATER),
    "upstream_unavailable": Code(502, True, Acts.LATER),
    "upstream_invalid": Code(502, False, Acts.OPERATOR),
    "outcome_unknown": Code(502, False, Acts.CALLER),
    "kernel_died": Code(500, True, Acts.CALLER),
    "sandbox": Code(503, False, Acts.OPERATOR),
    "internal": Code(500, False, Acts.OPERATOR),
}


class GatewayError(Exception):
    """An anticipated failure.

    `code` is a key of CODES; `message` is one lower-case line with what to do next, user input in backticks;
    `retry_after` is in seconds; `rule` names what refused, for the ledger.
    """

    def __init__(self, code: str, message: str, *, retry_after: float | None = None, rule: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.retry_after, self.rule = code, message, retry_after, rule
        self.meaning = CODES[code]

    def __repr__(self) -> str:
        return f"<GatewayError {self.code}: {self.message}>"


class ConfigError(Exception):
    """The configuration cannot be used: one line, naming the key and what to write instead."""
