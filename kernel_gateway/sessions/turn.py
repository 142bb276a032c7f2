"""The life of a cell as a table. A turn outlives the request that began it.

A cell runs or is paused; either may be so with nobody waiting for it (detached, left); in the end it is done and its
answer is kept for a while. `step` is the only way from one state to the next, and says what must be done about it.
"""

from enum import StrEnum


class State(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    DETACHED = "detached"
    LEFT = "left"  # paused, and nobody waits
    DONE = "done"


class Event(StrEnum):
    ATTACH = "attach"  # a request waits for this cell
    DETACH = "detach"  # the last request that waited is gone; the cell goes on
    CANCEL = "cancel"  # the last request that waited wants the cell to stop
    PAUSE = "pause"  # a call inside the cell waits for a person
    RESUME = "resume"
    FINISH = "finish"


class Action(StrEnum):
    NONE = "none"
    INTERRUPT = "interrupt"
    STOP_CLOCK = "stop_clock"
    START_CLOCK = "start_clock"
    KEEP_ANSWER = "keep_answer"
    GIVE_ANSWER = "give_answer"


_TABLE: dict[State, dict[Event, tuple[State, Action]]] = {
    State.RUNNING: {
        Event.ATTACH: (State.RUNNING, Action.NONE),
        Event.DETACH: (State.DETACHED, Action.NONE),
        Event.CANCEL: (State.RUNNING, Action.INTERRUPT),
        Event.PAUSE: (State.PAUSED, Action.STOP_CLOCK),
        Event.FINISH: (State.DONE, Action.KEEP_ANSWER),
    },
    State.PAUSED: {
        Event.ATTACH: (State.PAUSED, Action.NONE),
        Event.DETACH: (State.LEFT, Action.NONE),  # a pause has its own deadline and needs nobody who waits
        Event.CANCEL: (State.PAUSED, Action.INTERRUPT),
        Event.RESUME: (State.RUNNING, Action.START_CLOCK),
        Event.FINISH: (State.DONE, Action.KEEP_ANSWER),
    },
    State.LEFT: {
        Event.ATTACH: (State.PAUSED, Action.NONE),
        Event.DETACH: (State.LEFT, Action.NONE),
        Event.CANCEL: (State.LEFT, Action.INTERRUPT),
        Event.RESUME: (State.DETACHED, Action.START_CLOCK),
        Event.FINISH: (State.DONE, Action.KEEP_ANSWER),
    },
    State.DETACHED: {
        Event.ATTACH: (State.RUNNING, Action.NONE),
        Event.DETACH: (State.DETACHED, Action.NONE),
        Event.CANCEL: (State.DETACHED, Action.INTERRUPT),
        Event.PAUSE: (State.LEFT, Action.STOP_CLOCK),
        Event.FINISH: (State.DONE, Action.KEEP_ANSWER),
    },
    State.DONE: {
        Event.ATTACH: (State.DONE, Action.GIVE_ANSWER),
        Event.DETACH: (State.DONE, Action.NONE),
        Event.CANCEL: (State.DONE, Action.NONE),
    },
}


class OutOfTurnError(Exception):
    """An event that cannot happen in this state: a bug of ours, never a caller's fault."""


def step(state: State, event: Event) -> tuple[State, Action]:
    try:
        return _TABLE[state][event]
    except KeyError:
        raise OutOfTurnError(f"`{event}` in state `{state}`") from None
