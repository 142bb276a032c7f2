"""Sessions outlive their kernels and their gateway: what was committed comes back, and what was not is run again."""

import asyncio
import os
import signal

import pytest

from kernel_gateway.sessions.result import ExecuteRequest
from tests.conftest import until


@pytest.fixture
async def agent(gateway_settings, world_and_app):
    _, app = await world_and_app(gateway_settings())
    return app


async def cell(app, code, session="", **more):
    result = await app.gateway.execute(app.stdio_principal(), ExecuteRequest(code, session, **more))
    assert result.status == "ok", result
    return result


def session_of(app, result):
    return next(each for each in app.gateway.live() if each.id == result.session_id)


async def committed(app, result):
    session = session_of(app, result)
    await until(lambda: session.saving.committed == session.cells)
    return session


async def test_a_reply_says_which_cell_is_committed_and_soon_it_is_this_one(agent):
    first = await cell(agent, "a = [1, 2]")
    assert first.committed == 0
    await committed(agent, first)
    assert (await cell(agent, "a", first.session_id)).committed == 1


async def test_a_killed_kernel_loses_nothing_that_was_committed(agent):
    first = await cell(agent, "a = {'x': [1, 2]}; b = a['x']")
    session = await committed(agent, first)
    os.kill(session.seat.kernel._process.pid, signal.SIGKILL)
    await until(session.seat.kernel.died.done)
    again = await cell(agent, "b.append(3); a", first.session_id)
    assert again.result == "{'x': [1, 2, 3]}"
    assert (again.restored, again.rerun, again.lost, again.execution_count) == (True, (), (), 2)
