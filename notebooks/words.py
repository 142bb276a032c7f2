"""Every line of prose that a notebook of ours holds: fixed, but for ids, counts and words of the journal's own lists.

Nothing that an agent wrote comes here: a markdown cell shows HTML, and the events' bounds let no text of theirs in.
"""

from collections.abc import Mapping
from typing import Any

_ABOUT = """\
# Session `{session_id}`

These are the {cells} cells that an agent's session ran, in their order. Each cell's metadata says when it ran, how it
ended, what it showed (by kind, size and keyed digest) and which operations it called. Outputs are never kept.

To run the cells again in a fresh sandbox, and be told what differs, on the host of the gateway:

    kernel-gateway sessions replay THIS_FILE.ipynb

Calls are then answered from what the session's own record still holds; with `--live` they are made again, and nothing
is done twice. What a cell says of itself in this file is a claim: the gateway believes its own journal alone. Text that
looked like a secret was replaced by `[redacted:...]`.
"""

_ENDS = {
    "error": "Cell {cell} failed: `{ename}`.",
    "timeout": "Cell {cell} was interrupted at its deadline.",
    "interrupted": "Cell {cell} was interrupted by its caller.",
    "lost": "The kernel ended in cell {cell}, and every variable with it.",
    "disabled": "Cell {cell} was ended by the kill switch.",
}


def about(session_id: str, cells: int) -> str:
    return _ABOUT.format(session_id=session_id, cells=cells)


def ending(event: Mapping[str, Any]) -> str:
    """How a cell ended; "" where it did what it was told."""
    if event["status"] == "ok":
        return ""
    said = _ENDS.get(event["status"], "Cell {cell} ended as `{status}`.")
    return said.format(cell=event["cell"], ename=event.get("ename") or "an exception", status=event["status"])


def forked(event: Mapping[str, Any]) -> str:
    """Before the first cell of a session that began with another's state, of which nothing is known."""
    return f"This session was forked: cell {event['cell']} began with the state that another session had reached."


def went_on(event: Mapping[str, Any]) -> str:
    """Between another session's cells and those of its fork."""
    return f"Here the session was forked from another, whose cells are those above: cell {event['cell']} is its first."


def went_back(event: Mapping[str, Any]) -> str:
    """Before a cell that does not go on from the one before it."""
    return (
        f"Here the session went back: cell {event['cell']} goes on from cell {event['cell'] - 1} of before. What ran "
        "between them belongs to a branch that was given up; it is shown, and not run again."
    )


def not_kept(event: Mapping[str, Any]) -> str:
    return f"The text of cell {event['cell']} was not kept."
