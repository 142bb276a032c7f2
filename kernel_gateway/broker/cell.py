"""On whose behalf the inner door is asked, and what it counted for them. Values only."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog import Effect, Operation
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker.recorded import Notes, Recorded
from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.flight import Flight
from kernel_gateway.limits.idempotency import Ordinals, Origin
from kernel_gateway.limits.usage import Tally
from kernel_gateway.policy.plan import ANY, Plan
from kernel_gateway.policy.risk import Risk, risk_of

Ask = Callable[[Operation, Mapping[str, Any], str], Awaitable[None]]
_WITHOUT_A_PLAN = Plan({ANY: 2**31})


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call as the cell's result lists it. `status` is "ok" or a code.

    `operation` is what the cell asked for, also where there is no such operation; "" where that has not its form.
    """

    operation: str
    status: str
    duration_ms: float
    replayed: bool


@dataclass(slots=True)
class Cell:
    """The cell that holds a session's turn. `principal` is already narrowed by the session's grant.

    `approver` is who agreed to `plan`: auto, user or person; `approval_id` is what that used up. In a kernel that ran
    other cells before (`is_shared`) nobody knows whose call it is: then that agreement covers no change, and each is
    asked about on its own. `ask` (operation, arguments, approver) returns once it was approved and raises GatewayError
    otherwise; `unanswered` are the operations whose question ended with the cell. `notes` are of what its calls were
    answered with; a cell that is run again has what was `recorded` then, and calls nothing.

    `calls` counts the allowed calls, `writes` those of them that may change something, `requests` every message of any
    kind, `tally` what they used and reserved. A call has its place among the records from its start, so that they
    stand in the order in which the cell asked, whichever ends first. `origin` is where the caller named the request:
    then the keys of its mutations come from it, else from the cell. `author` is agent or person, `parent_id` the cell
    whose state it begins with. `asks_every_change` where nobody has agreed to it as a whole.
    """

    principal: Principal
    session_id: str
    number: int
    cell_id: str
    origin: Origin | None = field(default=None, repr=False)
    ordinals: Ordinals = field(default_factory=Ordinals, repr=False)
    calls: int = 0
    writes: int = 0
    requests: int = 0
    tally: Tally = field(default_factory=Tally)
    plan: Plan = _WITHOUT_A_PLAN
    approver: str = "auto"
    approval_id: str = ""
    is_shared: bool = False
    ask: Ask | None = None
    unanswered: list[str] = field(default_factory=list)
    asks_every_change: bool = False
    notes: Notes = field(default_factory=Notes, repr=False)
    recorded: Recorded | None = field(default=None, repr=False)
    author: str = "agent"
    parent_id: str = ""
    _made: dict[str, int] = field(default_factory=dict, repr=False)
    _places: list[CallRecord | None] = field(default_factory=list, repr=False)

    @property
    def keyed_by(self) -> Origin:
        """What the keys of its mutations come from."""
        return self.origin or Origin(self.session_id, 0, self.cell_id)

    @property
    def records(self) -> list[CallRecord]:
        """Of the calls that have ended."""
        return [record for record in self._places if record is not None]

    def agreed_by(self, operation: Operation) -> str:
        """Whose agreement to the cell is one to this call too; "" where it can do great harm, or is not the cell's."""
        covers = not self.asks_each(operation) and risk_of(operation) < Risk.HIGH
        return self.approver if covers else ""

    def asks_each(self, operation: Operation) -> bool:
        is_unsure = self.asks_every_change or (self.approver != "auto" and self.is_shared)
        return is_unsure and operation.effect is not Effect.READ

    def take(self, operation: Operation) -> None:
        """Counts one call against the plan. Raises GatewayError plan_exceeded."""
        if not self.plan.permits(operation.id, self._made):
            made = self._made.get(operation.id, 0)
            raise GatewayError(
                "plan_exceeded",
                f"the cell was read to call `{operation.id}` {made} times at most; send this call in a cell of its own",
            )
        self._made[operation.id] = self._made.get(operation.id, 0) + 1

    def reserve(self) -> int:
        """The next place among the records, for `settle`."""
        self._places.append(None)
        return len(self._places) - 1

    def settle(self, place: int, record: CallRecord) -> None:
        self._places[place] = record


@dataclass(slots=True)
class Account:
    """What one session used up. `strays` counts requests that came while no cell held the turn.

    `tree` is one object for all sessions that were forked from one another.
    """

    session_id: str
    organisation: str
    calls: int = 0
    writes: int = 0
    strays: int = 0
    flight: Flight = field(default_factory=Flight)
    tally: Tally = field(default_factory=Tally)
    tree: Tally = field(default_factory=Tally)
