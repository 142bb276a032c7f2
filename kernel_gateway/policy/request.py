"""The question both doors ask, and the answer. Values only."""

from dataclasses import dataclass
from typing import Protocol

from kernel_gateway.auth.principal import Principal


@dataclass(frozen=True, slots=True)
class Context:
    """What is true at this moment. Counts are before the request that is being decided."""

    now: float
    calls_this_cell: int = 0
    calls_this_session: int = 0
    has_turn: bool = True
    risk: str = "low"
    approved: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """May `principal` do `action` on `resource`? `scope` is what the action needs."""

    principal: Principal
    action: str  # "search" | "execute" | "call" | "read" | "delete" ...
    resource: str  # an operation id or a session id; "" where there is none
    scope: str
    context: Context


@dataclass(frozen=True, slots=True)
class Decision:
    """`rule` names what decided. If not allowed, `code` is a key of CODES, `reason` a line for the caller.

    With `approval_required`, `approver` is "user" or "person".
    """

    allowed: bool
    rule: str
    code: str = ""
    reason: str = ""
    approver: str = ""


class Authorizer(Protocol):
    @property
    def digest(self) -> str:
        """Of everything that decides: another digest may decide otherwise."""

    def decide(self, request: Request) -> Decision: ...
