"""The life of a cell as a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.sessions.turn import _TABLE, Action, Event, OutOfTurnError, State, step

events = st.lists(st.sampled_from(list(Event)), max_size=30)


def walk(sequence):
    """The states along the way; an event that cannot happen is left out, as our own code never tells it."""
    state, path = State.RUNNING, []
    for event in sequence:
        try:
            state, action = step(state, event)
        except OutOfTurnError:
            continue
        path.append((event, state, action))
    return path


@given(events)
def test_what_is_done_stays_done(sequence):
    path = walk([*sequence, Event.RESUME, Event.FINISH, *sequence])
    states = [state for _, state, _ in path]
    done = states.index(State.DONE)
    assert set(states[done:]) == {State.DONE}


@given(events)
def test_a_finished_cell_is_never_interrupted_and_finishes_once(sequence):
    path = walk([*sequence, Event.RESUME, Event.FINISH, *sequence])
    assert [action for _, _, action in path].count(Action.KEEP_ANSWER) == 1
    finished = False
    for event, _, action in path:
        assert not (finished and action is Action.INTERRUPT)
        finished |= event is Event.FINISH


@given(events)
def test_only_a_cancel_interrupts_and_before_the_end_it_always_does(sequence):
    finished = False
    for event, _, action in walk(sequence):
        assert (action is Action.INTERRUPT) == (event is Event.CANCEL and not finished)
        finished |= event is Event.FINISH


@given(events)
def test_the_clock_stops_and_starts_in_turns(sequence):
    clock = [action for _, _, action in walk(sequence) if action in (Action.STOP_CLOCK, Action.START_CLOCK)]
    assert clock == [Action.STOP_CLOCK, Action.START_CLOCK] * (len(clock) // 2) + [Action.STOP_CLOCK] * (len(clock) % 2)


@given(events)
def test_a_detached_cell_runs_on_until_somebody_attaches(sequence):
    state = State.RUNNING
    for event, after, _ in walk(sequence):
        if state is State.DETACHED and event in (Event.DETACH, Event.CANCEL):
            assert after is State.DETACHED
        if event is Event.ATTACH and after is not State.DONE:
            assert after in (State.RUNNING, State.PAUSED)
        state = after


@pytest.mark.parametrize("state", list(State))
def test_from_every_state_a_request_may_attach_and_leave(state):
    assert {Event.ATTACH, Event.DETACH, Event.CANCEL} <= set(_TABLE[state])


def test_an_event_that_cannot_happen_is_named():
    with pytest.raises(OutOfTurnError, match="`resume` in state `done`"):
        step(State.DONE, Event.RESUME)
