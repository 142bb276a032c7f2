"""On whose behalf the inner door is asked, and what it counted for them. Values only."""

from dataclasses import dataclass, field

from kernel_gateway.auth.principal import Principal
from kernel_gateway.limits.flight import Flight
from kernel_gateway.limits.idempotency import Ordinals, Origin
from kernel_gateway.limits.usage import Tally


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

    `calls` counts the allowed calls, `writes` those of them that may change something, `requests` every message of any
    kind, `tally` what they used and reserved. A call has its place among the records from its start, so that they
    stand in the order in which the cell asked, whichever ends first. `origin` is where the caller named the request:
    then the keys of its mutations come from it, else from the cell.
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
    _places: list[CallRecord | None] = field(default_factory=list, repr=False)

    @property
    def records(self) -> list[CallRecord]:
        """Of the calls that have ended."""
        return [record for record in self._places if record is not None]

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
