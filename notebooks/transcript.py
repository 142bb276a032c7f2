"""What the journal says of a session's cells, put in order. Pure: events as `Journal.transcript` gives them."""

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
    def parent_id(self) -> str:
        return str(self.event.get("parent_id", ""))


def cells(events: Iterable[Event]) -> list[Ran]:
    """In the order in which they ran. The branch that counts is the one that ends with the last of them."""
    calls: dict[str, list[Event]] = {}
    ran: list[Event] = []
    for event in events:
        if event["kind"] == "operation_called":
            calls.setdefault(event["cell_id"], []).append(event)
        elif event["kind"] == "cell_ran":
            ran.append(event)
    parents = {event["cell_id"]: event.get("parent_id", "") for event in ran}
    kept, at = set[str](), ran[-1]["cell_id"] if ran else ""
    while at in parents and at not in kept:
        kept.add(at)
        at = parents[at]
    is_linked = all("parent_id" in event for event in ran)  # a record of an earlier version has no branches
    return [
        Ran(event, tuple(calls.get(event["cell_id"], ())), is_linked and event["cell_id"] not in kept) for event in ran
    ]
