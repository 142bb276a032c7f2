"""What the journal says of a session's cells, put in order. Pure: events as `Journal.transcript` gives them.

Cell n goes on from cell n - 1: a number that comes again is of a branch, and what had it before was given up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ran:
    """A cell that ran, and the calls it made in the order in which they ended. `is_given_up`: on a branch that was."""

    event: Event
    calls: tuple[Event, ...]
    is_given_up: bool = False

    @property
    def id(self) -> str:
        return str(self.event["cell_id"])

    @property
    def number(self) -> int:
        return int(self.event["cell"])


def cells(events: Iterable[Event]) -> list[Ran]:
    """In the order in which they ran. The branch that counts is the one that ends with the last of them."""
    calls: dict[str, list[Event]] = {}
    ran: list[Event] = []
    branch: list[Event] = []
    for event in events:
        if event["kind"] == "operation_called":
            calls.setdefault(event["cell_id"], []).append(event)
        elif event["kind"] == "cell_ran":
            while branch and branch[-1]["cell"] >= event["cell"]:
                branch.pop()
            ran.append(event)
            branch.append(event)
    kept = {event["cell_id"] for event in branch}
    return [Ran(event, tuple(calls.get(event["cell_id"], ())), event["cell_id"] not in kept) for event in ran]
