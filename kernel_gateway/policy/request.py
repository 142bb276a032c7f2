"""The question both doors ask, and the answer. Values only."""

from dataclasses import dataclass
from typing import Protocol

from kernel_gateway.auth.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is true at this moment. Counts are before the request that is being decided.

    No field has a default: what a door forgot to say must not be taken for harmless.
    """

    now: float
    has_turn: bool  # a cell runs, and it is this one that asks
    calls_this_cell: int
    calls_this_session: int
    writes_this_cell: int
    writes_this_session: int
    risk: str  # "low" | "medium" | "high" | "critical"
    approved: bool
    kill_switch: bool
    has_idempotency_key: bool
    argument_bytes: int
    host: str  # that the request would go to, in lower case; "" where it goes nowhere

    @classmethod
    def outside(cls, now: float) -> "Context":
        """Of a request that runs nothing: no cell, no counts, nothing to approve."""
        return cls(
            now=now,
            has_turn=False,
            calls_this_cell=0,
            calls_this_session=0,
            writes_this_cell=0,
            writes_this_session=0,
            risk="low",
            approved=False,
            kill_switch=False,
            has_idempotency_key=False,
            argument_bytes=0,
            host="",
        )


@dataclass(frozen=True, slots=True)
class Request:
    """May `principal` do `action` on `resource`? `scope` is what the action needs."""

    principal: Principal
    action: str  # a key of policy.actions: "search" | "execute" | "call" | "blob_read" | "read" | "delete" ...
    resource: str  # an operation's id for "call", a server's name for blobs, a session's id or "" for the rest
    scope: str
    context: Context


@dataclass(frozen=True, slots=True)
class Decision:
    """`rule` names what decided. If not allowed, `code` is a key of CODES, `reason` a line for the caller.

    With the code `approval_required` a yes would allow it: of the `approver` "user" or "person". With what is allowed
    comes an obligation: fields of `blocked_fields`, in lower case, are taken out of the answer.
    """

    allowed: bool
    rule: str
    code: str = ""
    reason: str = ""
    approver: str = ""
    blocked_fields: frozenset[str] = frozenset()


class Authorizer(Protocol):
    """Whatever decides: Cedar in this process, or a service that manages policies elsewhere."""

    @property
    def digest(self) -> str:
        """Of everything that decisions depend on and a request does not say."""

    def decide(self, request: Request) -> Decision: ...
