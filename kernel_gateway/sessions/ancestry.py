"""A session's events with those of the sessions it was forked from, back to the first cell."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Events = list[dict[str, Any]]
MAX_ANCESTORS = 32
"""Forks of forks that are followed; what lies before is not shown."""


async def history(session_id: str, transcript: Callable[[str], Awaitable[Events]]) -> Events:
    """`transcript(session_id)` is one session's. Of a parent only what ran up to the cell that was forked from."""
    events = await transcript(session_id)
    for _ in range(MAX_ANCESTORS):
        fork = _fork(events)
        if fork is None:
            break
        parent = [event for event in await transcript(fork["parent"]) if event["seq"] < fork["seq"]]
        events = _up_to(fork["cell"], parent) + [event for event in events if event is not fork]
    return events


def _fork(events: Events) -> Mapping[str, Any] | None:
    """How the session began, where that was from another."""
    first = next((event for event in events if event["kind"] in ("cell_ran", "session_forked")), None)
    is_fork = first is not None and first["kind"] == "session_forked" and first["parent"] != first["session_id"]
    return first if is_fork else None


def _up_to(cell: int, events: Events) -> Events:
    """Without the cells after `cell` that led to it no more, and their calls."""
    last = max((n for n, event in enumerate(events) if _ran(event, cell)), default=-1)
    return events[: last + 1]


def _ran(event: Mapping[str, Any], cell: int) -> bool:
    return bool(event["kind"] == "cell_ran" and event["cell"] == cell)
