"""One mutation, its states, and what a second call of it gets. Values and a table.

begun -> sent -> answered -> replied, or refused (nothing was done), or outcome_unknown. An upstream that honours keys
may be sent the same again; one that does not never is, unless it is certain that nothing was done.
"""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    BEGUN = "begun"  # written down, not sent
    SENT = "sent"  # perhaps done
    ANSWERED = "answered"  # done, and the answer is kept
    REPLIED = "replied"  # done, and the cell has the answer
    REFUSED = "refused"  # not done
    OUTCOME_UNKNOWN = "outcome_unknown"  # perhaps done, and nobody will say


@dataclass(frozen=True, slots=True)
class Effect:
    """One mutation. `key` is what its upstream sees where `keyed`; `arguments` is their digest."""

    key: str
    keyed: bool
    operation: str
    arguments: str
    organisation: str
    session_id: str
    cell_id: str


class Verdict(StrEnum):
    """What a call gets whose effect has a record already."""

    SEND = "send"  # nothing was done
    SEND_AGAIN = "send_again"  # with the same key: the upstream will not do it twice
    REPLAY = "replay"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    DONE = "done"


def verdict(state: State, *, keyed: bool, same_arguments: bool, has_answer: bool) -> Verdict:
    if state is State.REFUSED:
        return Verdict.SEND  # also with other arguments: the caller corrected them, and the key is not spent
    if not same_arguments:
        return Verdict.CONFLICT
    if has_answer:
        return Verdict.REPLAY
    if state is State.BEGUN:
        return Verdict.SEND
    if keyed:
        return Verdict.SEND_AGAIN
    return Verdict.DONE if state in (State.ANSWERED, State.REPLIED) else Verdict.UNKNOWN
