"""A cell that takes long, for a client that can poll: real kernels, the official client, HTTP and stdio."""

import asyncio

import pytest

from tests.polling import Polling, of_task

GRACE_SECONDS = 0.3
LONG = "import time\ntime.sleep(1)\nkept = 7\nkept"
ENDLESS = "import time\ntime.sleep(60)"  # longer than another cell waits for its turn


@pytest.fixture
def sections():
    return {"mcp": {"task_grace_seconds": GRACE_SECONDS, "task_poll_seconds": 0.05}}


@pytest.fixture(params=["http", "stdio"])
async def polling_agent(request, over_http, over_stdio, monkeypatch):
    """The agent, and its side of the extension."""
    monkeypatch.setenv("KG_MCP__TASK_GRACE_SECONDS", str(GRACE_SECONDS))
    polling = Polling()
    connect = over_http if request.param == "http" else over_stdio
    return await connect(extensions=[polling]), polling


async def becomes_a_task(polling, call, known=0):
    """The task of a call; so many were known before it."""
    while len(polling.handles) == known:
        assert not call.done(), call.result()
        await asyncio.wait({call}, timeout=0.01)
    return polling.handles[known].task_id


async def test_the_result_of_a_long_cell_comes_by_polling_and_the_session_goes_on(polling_agent):
    agent, polling = polling_agent
    call = asyncio.create_task(agent.execute(LONG))
    await becomes_a_task(polling, call)
    first, _ = await call
    second, _ = await agent.execute("kept + 1")
    assert (first["status"], first["result"]) == ("ok", "7")
    assert (second["result"], second["execution_count"]) == ("8", 2)


async def test_a_cancelled_task_interrupts_its_cell_and_the_session_lives_on(polling_agent):
    agent, polling = polling_agent
    await agent.execute("kept = 1")
    known = len(polling.handles)
    call = asyncio.create_task(agent.execute(ENDLESS, request_id="r"))
    task_id = await becomes_a_task(polling, call, known)
    await of_task(agent.client.session, "cancel", task_id)
    assert (await of_task(agent.client.session, "get", task_id))["status"] == "cancelled"
    after, _ = await agent.execute("kept")
    assert (after["status"], after["result"]) == ("ok", "1")
    again, _ = await agent.execute(ENDLESS, request_id="r")
    assert again["status"] == "interrupted"
    await asyncio.gather(call, return_exceptions=True)


async def test_a_task_outlives_its_connection(over_http):
    first, second = Polling(), Polling()
    agent = await over_http(extensions=[first])
    call = asyncio.create_task(agent.execute(LONG))
    task_id = await becomes_a_task(first, call)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    other = await over_http(extensions=[second])
    while (said := await of_task(other.client.session, "get", task_id))["status"] == "working":
        await asyncio.wait({call}, timeout=0.01)
    assert said["result"]["structuredContent"]["result"] == "7"
