"""A cell that takes long, for a client that can poll: real kernels, the official client, HTTP and stdio."""

import asyncio
import json

import pytest
from mcp.types import ElicitResult

from tests.polling import Polling, of_task

GRACE_SECONDS = 2  # well after the first word of progress
LONG = "import time\ntime.sleep(3)\nkept = 7\nkept"
ENDLESS = "import time\ntime.sleep(60)"  # longer than another cell waits for its turn

LATE = """
import time
time.sleep(3)
try:
    image_ops.cleanup_create(ids=["job_11111111"], idempotency_key="k1")
except ToolError as error:
    print(error.code)
"""


@pytest.fixture
def sections():
    mcp = {"task_grace_seconds": GRACE_SECONDS, "task_poll_seconds": 0.05}
    return {"mcp": mcp, "policy": {"auto_approve_risk": "medium"}}


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
    call = await agent.begin(ENDLESS, request_id="r")
    task_id = await becomes_a_task(polling, call, known)
    await of_task(agent.client.session, "cancel", task_id)
    assert (await of_task(agent.client.session, "get", task_id))["status"] == "cancelled"
    after, _ = await agent.execute("kept")
    assert (after["status"], after.get("result")) == ("ok", "1"), after.get("state")
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


@pytest.mark.parametrize(("approve", "printed"), [(True, ""), (False, "approval_denied\n")])
async def test_a_call_that_needs_an_approval_asks_through_its_task(over_http, approve, printed):
    async def approve_the_cell(context, params):
        return ElicitResult(action="accept", content={"approve": True})

    polling = Polling({"action": "accept", "content": {"approve": approve}})
    agent = await over_http(extensions=[polling], elicitation_callback=approve_the_cell)
    result, _ = await agent.execute(LATE)
    asked = [each for each in polling.polled if each["status"] == "input_required"]
    (form,) = asked[0]["inputRequests"].values()
    assert form["method"] == "elicitation/create"
    assert form["params"]["message"].startswith("A running cell wants to call image_ops:cleanup_create")
    assert (result["status"], result.get("stdout", ""), result["execution_count"]) == ("ok", printed, 1)


async def test_a_task_that_waits_for_an_answer_can_be_cancelled_and_its_call_is_never_sent(over_http):
    async def approve_the_cell(context, params):
        return ElicitResult(action="accept", content={"approve": True})

    polling = Polling()
    agent = await over_http(extensions=[polling], elicitation_callback=approve_the_cell)
    call = asyncio.create_task(agent.execute(LATE, request_id="r"))
    task_id = await becomes_a_task(polling, call)
    while polling.polled[-1:] == [] or polling.polled[-1]["status"] == "working":
        await asyncio.wait({call}, timeout=0.01)
    await of_task(agent.client.session, "cancel", task_id)
    await asyncio.gather(call, return_exceptions=True)
    again, _ = await agent.execute(LATE, request_id="r")
    assert again["status"] == "interrupted"
    assert {each["status"] for each in again.get("calls", [])} <= {"denied", "canceled"}
    told = await agent.client.session.read_resource(f"kernel://sessions/{again['session_id']}/transcript")
    events = [json.loads(line) for line in told.contents[0].text.splitlines()]
    # a change that was sent is heard to its end, so one that has no answer was not
    assert {each["http_status"] for each in events if each["kind"] == "operation_called"} <= {0}
