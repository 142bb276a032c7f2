"""Sessions outlive their kernels and their gateway: what was committed comes back, and what was not is run again."""

import asyncio
import os
import signal
import warnings
from contextlib import asynccontextmanager

import pytest

from kernel_gateway.app import running
from kernel_gateway.embedded import embedded_world
from kernel_gateway.errors import GatewayError
from kernel_gateway.reference.loopback import ReferenceWorldWarning
from kernel_gateway.sessions.result import ExecuteRequest
from tests.conftest import until


@pytest.fixture
async def make(gateway_settings, world_and_app):
    async def app(**sections):
        _, made = await world_and_app(gateway_settings(**sections))
        return made

    return app


async def cell(app, code, session="", **more):
    result = await app.gateway.execute(app.stdio_principal(), ExecuteRequest(code, session, **more))
    assert result.status == "ok", result
    return result


def session_of(app, session_id):
    return next(each for each in app.gateway.live() if each.id == session_id)


async def committed(app, session_id):
    session = session_of(app, session_id)
    await until(lambda: session.saving.committed == session.cells)
    return session


async def kill(session):
    os.kill(session.seat.kernel._process.pid, signal.SIGKILL)
    await until(session.seat.kernel.died.done)


async def hold_commits(session, monkeypatch):
    """Nothing is saved from here on, as if the gateway died before it came to it."""
    monkeypatch.setattr(session.saving, "soon", lambda kernel: None)


async def test_a_reply_says_which_cell_is_committed_and_soon_it_is_this_one(make):
    app = await make()
    first = await cell(app, "a = [1, 2]")
    assert first.committed == 0
    await committed(app, first.session_id)
    assert (await cell(app, "a", first.session_id)).committed == 1


async def test_a_cell_that_ends_while_the_one_before_is_being_committed_is_saved_too(make, monkeypatch):
    app = await make()
    first = await cell(app, "a = [1]")
    session = await committed(app, first.session_id)
    checkpoints, held = session.saving._durable.checkpoints, asyncio.Event()
    commit, begun = checkpoints.commit, []

    async def slowly(mark, manifest, new, number):
        begun.append(number)
        await held.wait()
        return await commit(mark, manifest, new, number)

    monkeypatch.setattr(checkpoints, "commit", slowly)
    await cell(app, "a.append(2)", first.session_id)
    await until(lambda: begun)
    await cell(app, "a.append(3)", first.session_id)
    held.set()
    await committed(app, first.session_id)
    assert begun == [2, 3]


async def test_with_before_reply_the_cell_itself_is_committed(make):
    app = await make(sessions={"durability": "before-reply"})
    first = await cell(app, "a = [1, 2]")
    assert first.committed == 1
    await kill(session_of(app, first.session_id))
    assert (await cell(app, "a", first.session_id)).result == "[1, 2]"


async def test_a_cell_that_ends_while_the_one_before_is_still_being_committed_is_committed_next(make, monkeypatch):
    app = await make()
    first = await cell(app, "a = 1")
    session = await committed(app, first.session_id)
    await session.saving.settled()
    commit, may_go_on = session.saving.commit, asyncio.Event()

    async def slowly(*arguments):
        await commit(*arguments)
        await may_go_on.wait()

    monkeypatch.setattr(session.saving, "commit", slowly)
    await cell(app, "a = 2", first.session_id)
    await committed(app, first.session_id)
    await cell(app, "a = 3", first.session_id)
    may_go_on.set()
    assert (await committed(app, first.session_id)).cells == 3


async def test_a_killed_kernel_loses_nothing_that_was_committed(make):
    app = await make()
    first = await cell(app, "a = {'x': [1, 2]}; b = a['x']")
    await kill(await committed(app, first.session_id))
    again = await cell(app, "b.append(3); a", first.session_id)
    assert again.result == "{'x': [1, 2, 3]}"
    assert (again.restored, again.rerun, again.lost, again.execution_count) == (True, (), (), 2)
    later = await cell(app, "a", first.session_id)
    assert (later.result, later.restored) == ("{'x': [1, 2, 3]}", False)


async def test_what_was_answered_and_not_committed_is_run_again(make, monkeypatch):
    app = await make()
    first = await cell(app, "log = ['one']")
    session = await committed(app, first.session_id)
    await hold_commits(session, monkeypatch)
    await cell(app, "log.append('two')", first.session_id)
    await cell(app, "log.append('three')", first.session_id)
    await kill(session)
    again = await cell(app, "log", first.session_id)
    assert again.result == "['one', 'two', 'three']"
    assert (again.restored, again.rerun, again.lost, again.execution_count) == (True, (2, 3), (), 4)


async def test_a_cell_that_is_run_again_gets_the_answers_of_then_and_calls_nothing(make, monkeypatch):
    app = await make()
    first = await cell(app, "a = 1")
    session = await committed(app, first.session_id)
    await hold_commits(session, monkeypatch)
    made = "up = image_ops.uploads_init(filename='a.png', content_type='image/png', size_bytes=10)\nup['upload_id']"
    told = await cell(app, made, first.session_id)
    calls = session.account.calls
    await kill(session)
    again = await cell(app, "up['upload_id']", first.session_id)
    assert (again.result, again.rerun, again.lost) == (told.result, (2,), ())
    assert session.account.calls == calls


async def test_a_call_whose_answer_was_not_kept_is_not_made_again(make, monkeypatch):
    app = await make()
    first = await cell(app, "a = 1")
    session = await committed(app, first.session_id)
    await hold_commits(session, monkeypatch)
    monkeypatch.setattr("kernel_gateway.broker.recorded.MAX_ANSWER_BYTES", 1)
    await cell(app, "quota = image_ops.quota_get()", first.session_id)
    await kill(session)
    again = await app.gateway.execute(app.stdio_principal(), ExecuteRequest("quota", first.session_id))
    assert again.error.ename == "NameError"
    assert again.rerun == (2,) and "cell 2" in again.lost[0]


async def test_a_cell_that_ended_its_kernel_leaves_the_state_before_it(make):
    app = await make()
    first = await cell(app, "a = [1]")
    await committed(app, first.session_id)
    died = await app.gateway.execute(
        app.stdio_principal(), ExecuteRequest("a.append(2)\nimport ctypes\nctypes.string_at(0)", first.session_id)
    )
    assert (died.status, died.code) == ("lost", "kernel_died")
    again = await cell(app, "a", first.session_id)
    assert (again.result, again.execution_count, again.restored) == ("[1]", 3, True)


async def test_an_idle_session_hibernates_and_the_next_cell_brings_it_back(make):
    app = await make(sessions={"idle_seconds": 0.05, "reap_interval_seconds": 0.02})
    first = await cell(app, "import random\nrandom.seed(7)\nf = lambda: [1, 2]")
    session = session_of(app, first.session_id)
    kernel = session.seat.kernel
    await until(lambda: session.state == "hibernated")
    assert kernel.gone.done()
    again = await cell(app, "f()", first.session_id)
    assert (again.result, again.restored, again.execution_count) == ("[1, 2]", True, 2)


@asynccontextmanager
async def a_world(settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReferenceWorldWarning)
        async with embedded_world(settings) as (_, connected):
            yield connected


async def test_a_session_outlives_its_gateway(gateway_settings):
    async with a_world(gateway_settings()) as with_world:
        async with running(with_world, embedded=True) as app:
            first = await cell(app, "def double(n):\n    return 2 * n\nvalues = [1, 2]")
            await cell(app, "values.append(double(3))", first.session_id)
        async with running(with_world, embedded=True) as app:
            (mine,) = await app.gateway.sessions(app.stdio_principal())
            assert (mine["session_id"], mine["state"], mine["cells"]) == (first.session_id, "hibernated", 2)
            again = await cell(app, "values, double(5)", first.session_id)
            assert (again.result, again.execution_count, again.lost) == ("([1, 2, 6], 10)", 3, ())


async def test_a_session_that_nobody_used_for_its_time_is_deleted(make):
    app = await make(sessions={"ttl_seconds": 0.2, "idle_seconds": 0.05, "reap_interval_seconds": 0.02})
    first = await cell(app, "a = 1")
    await until(lambda: not app.gateway.live())
    with pytest.raises(GatewayError) as refused:
        await app.gateway.execute(app.stdio_principal(), ExecuteRequest("a", first.session_id))
    assert refused.value.code == "not_found"


async def test_a_fork_goes_on_after_an_earlier_cell_and_leaves_its_parent_alone(make):
    app = await make()
    me = app.stdio_principal()
    first = await cell(app, "a = [1]")
    await committed(app, first.session_id)
    await cell(app, "a.append(2)", first.session_id)
    await committed(app, first.session_id)
    forked = await app.gateway.fork(me, first.session_id, 1)
    assert (forked["cells"], forked["parent"], forked["parent_cell"]) == (1, first.session_id, 1)
    child = await cell(app, "a.append('child'); a", forked["session_id"])
    assert (child.result, child.execution_count) == ("[1, 'child']", 2)
    assert (await cell(app, "a", first.session_id)).result == "[1, 2]"


async def test_fork_from_cell_runs_the_cell_in_the_fork(make):
    app = await make()
    first = await cell(app, "a = [1]")
    await committed(app, first.session_id)
    await cell(app, "a.append(2)", first.session_id)
    child = await cell(app, "a", first.session_id, fork_from_cell=1)
    assert (child.result, child.execution_count) == ("[1]", 2) and child.session_id != first.session_id


async def test_a_cell_committed_together_with_others_can_be_gone_back_to(make, monkeypatch):
    app = await make()
    first = await cell(app, "a = [1]")
    session = await committed(app, first.session_id)
    with monkeypatch.context() as held:
        await hold_commits(session, held)
        await cell(app, "a.append(image_ops.quota_get()['org'])", first.session_id)
    await cell(app, "a.append(3)", first.session_id)
    await committed(app, first.session_id)
    child = await cell(app, "a", first.session_id, fork_from_cell=2)
    assert child.result.startswith("[1, '") and child.rerun == (2,)


async def test_a_session_can_go_back_itself_and_its_calls_are_new_ones(make):
    app = await make()
    me = app.stdio_principal()
    first = await cell(app, "a = [1]")
    for code in ("a.append(2)", "a.append(3)"):
        await cell(app, code, first.session_id)
        await committed(app, first.session_id)
    version = session_of(app, first.session_id).version
    back = await app.gateway.fork(me, first.session_id, 2, in_place=True)
    assert (back["session_id"], back["cells"]) == (first.session_id, 2)
    assert session_of(app, first.session_id).version != version
    again = await cell(app, "a", first.session_id)
    assert (again.result, again.execution_count, again.restored) == ("[1, 2]", 3, True)


@pytest.mark.parametrize("at", [0, 2, -1])
async def test_there_is_nothing_to_go_back_to_beyond_the_cells(make, at):
    app = await make()
    first = await cell(app, "a = [1]")
    with pytest.raises(GatewayError) as refused:
        await app.gateway.fork(app.stdio_principal(), first.session_id, at)
    assert refused.value.code == "invalid"


async def test_for_one_more_kernel_the_session_that_was_idle_longest_hibernates(make):
    app = await make(sessions={"max_kernels": 2})
    ids = [(await cell(app, f"n = {number}")).session_id for number in range(3)]
    assert [session_of(app, each).state for each in ids] == ["hibernated", "idle", "idle"]
    assert (await cell(app, "n", ids[0])).result == "0"
    assert [session_of(app, each).state for each in ids] == ["idle", "hibernated", "idle"]


async def test_kernels_of_one_caller_are_capped_and_busy_ones_stay(make):
    app = await make(sessions={"max_kernels_per_principal": 1})
    me = app.stdio_principal()
    first = await cell(app, "n = 1")
    assert session_of(app, (await cell(app, "n = 2")).session_id).state == "idle"
    assert session_of(app, first.session_id).state == "hibernated"
    busy = asyncio.create_task(app.gateway.execute(me, ExecuteRequest("import time; time.sleep(60)", first.session_id)))
    await until(lambda: session_of(app, first.session_id).seat._cell)
    with pytest.raises(GatewayError) as refused:
        await app.gateway.execute(me, ExecuteRequest("1"))
    assert (refused.value.code, refused.value.policy) == ("limited", "kernels-per-token")
    await app.gateway.interrupt(me, first.session_id)
    await busy


async def test_after_so_many_cells_without_a_pause_one_waits_for_its_state(make, monkeypatch):
    app = await make(sessions={"max_uncommitted_cells": 2})
    first = await cell(app, "a = []")
    session = session_of(app, first.session_id)
    for number in range(4):
        await cell(app, f"a.append({number})", first.session_id)
        assert len(session.life.pending) <= 2
    assert session.saving.committed >= 3


async def test_cells_that_take_too_long_to_run_again_are_lost_with_that_reason(make, monkeypatch):
    app = await make(sessions={"rerun_seconds": 0.2})
    first = await cell(app, "import os, time")
    session = await committed(app, first.session_id)
    await hold_commits(session, monkeypatch)
    await cell(app, "began = time.monotonic()\nwhile time.monotonic() - began < 0.5: pass\nslow = 1", first.session_id)
    await kill(session)
    again = await cell(app, "'slow' in dir()", first.session_id)
    assert again.result == "False" and "over 0.2 s" in again.lost[0]


async def test_a_session_goes_back_before_its_first_commit(make, monkeypatch):
    app = await make()
    me = app.stdio_principal()
    first = await cell(app, "a = [1]")
    session = session_of(app, first.session_id)
    await committed(app, first.session_id)
    monkeypatch.setattr(session.saving._durable.checkpoints, "at", nothing_before)
    await cell(app, "a.append(2)", first.session_id)
    await committed(app, first.session_id)
    await app.gateway.fork(me, first.session_id, 1, in_place=True)
    monkeypatch.undo()
    again = await cell(app, "a", first.session_id)
    assert (again.result, again.rerun, again.committed) == ("[1]", (1,), 0)


async def nothing_before(session_id, cell):
    """As where the oldest commits were dropped."""


async def test_what_a_gateway_gave_up_at_its_end_is_not_part_of_the_state(gateway_settings, hold):
    async with a_world(gateway_settings()) as settings:
        async with running(settings, embedded=True) as app:
            first = await cell(app, "x = 1")
            await committed(app, first.session_id)
            request = ExecuteRequest("x = 2\nimport time; time.sleep(60)", first.session_id)
            task = asyncio.create_task(app.gateway.execute(app.stdio_principal(), request))
            await until(lambda: session_of(app, first.session_id).seat._cell)
        await asyncio.gather(task, return_exceptions=True)
        async with running(settings, embedded=True) as app:
            again = await cell(app, "x", first.session_id)
            assert (again.result, again.execution_count, again.committed) == ("1", 2, 1)


@pytest.mark.parametrize("step", ["register.put", "checkpoints.fork", "trail.leave"])
async def test_a_death_on_the_way_back_leaves_the_session_here_or_there(gateway_settings, monkeypatch, step):
    async with a_world(gateway_settings()) as settings:
        async with running(settings, embedded=True) as app:
            first = await cell(app, "a = [1]")
            for code in ("a.append(2)", "a.append(3)"):
                await committed(app, first.session_id)
                await cell(app, code, first.session_id)
            session = await committed(app, first.session_id)
            part, name = step.split(".")
            with monkeypatch.context() as dying:
                whole = getattr(session.saving._durable, part)
                dying.setattr(whole, name, dies_after(getattr(whole, name)))
                dying.setattr(session.saving, "soon", lambda kernel: None)
                dying.setattr(session, "hibernate", never)
                with pytest.raises(DeathError):
                    await app.gateway.fork(app.stdio_principal(), first.session_id, 2, in_place=True)
                await app.gateway.close()
        async with running(settings, embedded=True) as app:
            again = await cell(app, "a", first.session_id)
            there = step != "register.put"
            assert (again.result, again.execution_count) == (("[1, 2]", 3) if there else ("[1, 2, 3]", 4))


class DeathError(Exception):
    """The gateway ends here."""


def dies_after(call):
    async def then(*given):
        await call(*given)
        raise DeathError

    return then


async def never(**_):
    return False


async def test_a_kernel_that_is_being_brought_back_can_be_interrupted_and_closed(make, monkeypatch):
    app = await make()
    me = app.stdio_principal()
    first = await cell(
        app, "class Slow:\n    def __setstate__(self, state):\n        import time; time.sleep(60)\n    x = 1"
    )
    await cell(app, "slow = Slow(); slow.y = 1", first.session_id)
    session = await committed(app, first.session_id)
    await kill(session)
    task = asyncio.create_task(app.gateway.execute(me, ExecuteRequest("1", first.session_id)))
    await until(lambda: session.seat.is_taken and session.seat.kernel._bridge.keeping._loaded)
    kernel = session.seat.kernel
    await app.gateway.close_session(me, first.session_id)
    with pytest.raises(GatewayError):
        await task
    assert kernel.gone.done()


async def test_a_cell_that_ends_its_kernel_when_it_runs_again_is_left_out(make, monkeypatch):
    app = await make()
    first = await cell(app, "log = []")
    session = await committed(app, first.session_id)
    await hold_commits(session, monkeypatch)
    await cell(app, "open('here', 'w').close()", first.session_id)
    once = "import ctypes, os\nos.path.exists('here') or ctypes.string_at(0)\nlog.append(3)"
    await cell(app, once, first.session_id)
    await cell(app, "log.append(4)", first.session_id)
    session.life.pending.pop(0)  # so that the file is not there when the cell runs again
    await kill(session)
    again = await cell(app, "log", first.session_id)
    assert (again.result, again.rerun) == ("[4]", (4,))
    assert again.lost == ("what cell 3 changed: to bring that back ended the kernel",)


async def test_what_is_answered_while_a_commit_is_written_is_committed_too(make, monkeypatch):
    app = await make()
    first = await cell(app, "a = 1")
    session = await committed(app, first.session_id)
    release = asyncio.Event()
    commit = session.saving._durable.checkpoints.commit

    async def slow(*given):
        await release.wait()
        return await commit(*given)

    monkeypatch.setattr(session.saving._durable.checkpoints, "commit", slow)
    await cell(app, "a = 2", first.session_id)
    await until(lambda: session.saving._is_at_work and not session.seat.kernel._bridge.keeping.is_saving)
    await cell(app, "a = 3", first.session_id)
    release.set()
    await until(lambda: session.saving.committed == 3)


async def test_a_fork_that_cannot_be_made_leaves_nothing(make, tmp_path, monkeypatch):
    app = await make()
    first = await cell(app, "a = 1")
    session = await committed(app, first.session_id)
    durable = session.saving._durable
    before = await durable.checkpoints.session_ids()
    monkeypatch.setattr(durable.register, "put", dies_after(durable.register.put))
    with pytest.raises(DeathError):
        await app.gateway.fork(app.stdio_principal(), first.session_id, 1)
    assert await durable.checkpoints.session_ids() == before
    assert await durable.register.ids() == [first.session_id] and len(app.gateway.live()) == 1


async def test_dead_kernels_hold_no_place(make):
    app = await make(sessions={"max_kernels": 1})
    first = await cell(app, "a = 1")
    await kill(await committed(app, first.session_id))
    assert (await cell(app, "1")).status == "ok"
