"""Turns outlive their requests: joining, detaching, cancelling, kept answers."""

import asyncio

import pytest

from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.result import ExecuteResult
from kernel_gateway.sessions.turn import State
from kernel_gateway.sessions.turns import NoAnswerError, Turns

KEY = ("caller", "session", "request")


class Cell:
    """A cell that ends when told to, or when it is stopped."""

    def __init__(self):
        self.started, self.end = 0, asyncio.get_running_loop().create_future()

    async def __call__(self, stop):
        self.started += 1
        await asyncio.wait({self.end, stop}, return_when=asyncio.FIRST_COMPLETED)
        return ExecuteResult("interrupted" if stop.done() else "ok", "s", 1)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
async def turns():
    made = Turns(ttl_seconds=60, max_answers=2, max_bytes=1000, clock=Clock())
    yield made
    await made.close()


async def leave(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def waiting(turns, turn, *, detach=False, on_progress=None):
    return asyncio.ensure_future(turns.wait(turn, detach_on_cancel=detach, on_progress=on_progress))


async def test_a_second_request_with_the_same_id_joins_the_running_cell(turns):
    cell = Cell()
    first = turns.begin(KEY, b"code", cell)
    second = turns.find(KEY, b"code")
    assert second is first
    waiters = [waiting(turns, first), waiting(turns, second)]
    await settle()
    cell.end.set_result(None)
    assert [result.status for result in await asyncio.gather(*waiters)] == ["ok", "ok"]
    assert cell.started == 1


async def test_a_finished_answer_is_given_again_and_the_cell_does_not_run(turns):
    cell = Cell()
    turn = turns.begin(KEY, b"code", cell)
    cell.end.set_result(None)
    answer = await waiting(turns, turn)
    again = turns.find(KEY, b"code")
    assert await waiting(turns, again) is answer
    assert (cell.started, turn.state) == (1, State.DONE)


async def test_the_same_id_with_other_code_is_a_conflict(turns):
    turns.begin(KEY, b"code", Cell())
    with pytest.raises(GatewayError) as caught:
        turns.find(KEY, b"other")
    assert caught.value.code == "conflict"


async def test_when_the_only_one_who_waits_is_cancelled_the_cell_is_interrupted(turns):
    turn = turns.begin(None, b"code", Cell())
    task = waiting(turns, turn)
    await settle()
    await leave(task)
    assert (await turn.task).status == "interrupted"


async def test_while_another_still_waits_a_cancelled_request_interrupts_nothing(turns):
    cell = Cell()
    turn = turns.begin(KEY, b"code", cell)
    one, other = waiting(turns, turn), waiting(turns, turn)
    await settle()
    await leave(one)
    cell.end.set_result(None)
    assert (await other).status == "ok"


async def test_a_detached_cell_runs_on_and_can_be_joined_again(turns):
    cell = Cell()
    turn = turns.begin(KEY, b"code", cell)
    task = waiting(turns, turn, detach=True)
    await settle()
    await leave(task)
    assert turn.state is State.DETACHED
    back = waiting(turns, turns.find(KEY, b"code"))
    await settle()
    assert turn.state is State.RUNNING
    cell.end.set_result(None)
    assert (await back).status == "ok"


@pytest.mark.parametrize(("later", "kept"), [(59, True), (61, False)])
async def test_an_answer_is_kept_for_its_time_and_no_longer(turns, later, kept):
    cell = Cell()
    cell.end.set_result(None)
    await turns.begin(KEY, b"code", cell).task
    await settle()
    turns._clock.now += later
    assert (turns.find(KEY, b"code") is not None) is kept


async def answered(turns, key, result=None):
    async def cell(stop):
        return result or ExecuteResult("ok", "s", 1)

    await turns.begin(key, b"code", cell).task
    await settle()


async def test_at_the_cap_a_callers_new_name_is_refused_and_the_answers_are_kept(turns):
    for number in range(2):
        assert turns.find((*KEY, number), b"code") is None
        await answered(turns, (*KEY, number))
    with pytest.raises(GatewayError) as caught:
        turns.find((*KEY, 2), b"code")
    assert (caught.value.code, caught.value.retry_after) == ("limited", 60)
    assert all(turns.find((*KEY, number), b"code") is not None for number in range(2))


async def test_one_callers_answers_never_cost_another_theirs(turns):
    await answered(turns, KEY)
    for number in range(2):
        await answered(turns, ("mallory", number))
    assert turns.find(("alice", 1), b"code") is None
    assert turns.find(KEY, b"code") is not None


@pytest.mark.parametrize(("size", "refused"), [(999, False), (1000, True)])
async def test_kept_answers_of_one_caller_are_bounded_in_bytes(turns, size, refused):
    await answered(turns, (*KEY, 0), ExecuteResult("ok", "s", 1, stdout="x" * size))
    if refused:
        with pytest.raises(GatewayError, match="request_id"):
            turns.find((*KEY, 1), b"code")
    else:
        assert turns.find((*KEY, 1), b"code") is None


async def test_a_request_that_never_ran_fails_for_all_who_wait_and_may_be_tried_again(turns):
    async def busy(stop):
        raise GatewayError("busy", "try later")

    turn = turns.begin(KEY, b"code", busy)
    for _ in range(2):
        with pytest.raises(GatewayError, match="try later"):
            await waiting(turns, turn)
    assert turns.find(KEY, b"code") is None


async def test_a_request_whose_cell_ran_without_an_answer_fails_again_and_does_not_run(turns):
    async def unanswered(stop):
        raise NoAnswerError("internal", "not written down")

    turn = turns.begin(KEY, b"code", unanswered)
    for _ in range(2):
        with pytest.raises(GatewayError, match="not written down"):
            await waiting(turns, turn)
        turn = turns.find(KEY, b"code")
    assert turn.state is State.DONE


async def test_a_long_cell_reports_progress_while_somebody_waits(turns, monkeypatch):
    monkeypatch.setattr("kernel_gateway.sessions.turns.FIRST_PROGRESS_SECONDS", 0.01)
    monkeypatch.setattr("kernel_gateway.sessions.turns.PROGRESS_SECONDS", 0.01)
    cell, seen = Cell(), []

    async def on_progress(elapsed):
        seen.append(elapsed)
        if len(seen) == 3:
            cell.end.set_result(None)

    await waiting(turns, turns.begin(None, b"code", cell), on_progress=on_progress)
    assert len(seen) == 3
    assert seen == sorted(seen)


async def passes(count):
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("leaves", range(6))
@pytest.mark.parametrize("joins", range(6))
async def test_whoever_joins_gets_the_answer_whenever_the_first_leaves_and_the_cell_ends(monkeypatch, leaves, joins):
    monkeypatch.setattr("kernel_gateway.sessions.turns.FIRST_PROGRESS_SECONDS", 0)
    monkeypatch.setattr("kernel_gateway.sessions.turns.PROGRESS_SECONDS", 0)

    async def nobody_reads(elapsed):
        await asyncio.get_running_loop().create_future()

    for ends in range(12):
        turns, cell = Turns(ttl_seconds=60, max_answers=2, max_bytes=1000, clock=Clock()), Cell()
        turn = turns.begin(KEY, b"code", cell)
        first = waiting(turns, turn, detach=True, on_progress=nobody_reads)

        async def leaving(first=first):
            await passes(leaves)
            first.cancel()

        async def joining(turns=turns):
            await passes(joins)
            return await turns.wait(turns.find(KEY, b"code"), detach_on_cancel=True, on_progress=None)

        async def ending(cell=cell, ends=ends):
            await passes(ends)
            cell.end.set_result(None)

        async with asyncio.timeout(20):
            _, answer, _ = await asyncio.gather(leaving(), joining(), ending())
            await asyncio.wait({first})
        assert (answer.status, cell.started, turn.state, turn.attached) == ("ok", 1, State.DONE, 0)
        await turns.close()
