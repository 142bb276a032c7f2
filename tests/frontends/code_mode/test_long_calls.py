"""The tasks extension over the product's transports: who gets a task, whose it is, how it ends, how long it is kept."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import HEADER_MISMATCH, INVALID_PARAMS, MISSING_REQUIRED_CLIENT_CAPABILITY

from kernel_gateway.auth.current import current_principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.result import ExecuteResult
from tests.conftest import until
from tests.polling import IDENTIFIER, Polling, TaskHandle, TaskRequest, of_task

MODERN = "2026-07-28"
AT_ONCE = {"task_grace_seconds": 0.01, "task_poll_seconds": 0.001}
OTHERS = {
    "issuer": "https://other.example",
    "organisation": "other",
    "subject": "bob",
    "client": "other-agent",
}


@dataclass
class Tokens:
    """A verifier: what a token says is whose it is."""

    principals: dict
    issuers: tuple[str, ...] = ("https://as.example",)

    async def verify(self, token):
        return self.principals[token]


@dataclass
class Cells:
    """What the rehearsed gateway runs: every cell goes on until it is let go."""

    running: list = field(default_factory=list)
    progress: list = field(default_factory=list)

    async def __call__(self, request, on_progress):
        done = asyncio.get_running_loop().create_future()
        self.running.append(done)
        self.progress.append(on_progress)
        return await done


@pytest.fixture
def cells(gateway):
    gateway.run = Cells()
    return gateway.run


@pytest.fixture
def connect(rehearsed, gateway):
    """`async with connect(**settings) as client` for the token `me`, or for another's."""

    @asynccontextmanager
    async def serve(**settings):
        principals = {"me": rehearsed.ALICE}
        principals |= {part: replace(rehearsed.ALICE, **{part: value}) for part, value in OTHERS.items()}
        server = rehearsed.code_mode(gateway, current_principal, **{**AT_ONCE, **settings})
        async with rehearsed.served(server, Tokens(principals), gateway) as url:
            yield url

    return serve


@asynccontextmanager
async def agent(url, token="me", mode=MODERN, extensions=None):
    """The SDK's client, which can poll where it is not told otherwise."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(trust_env=False, timeout=10, headers=headers) as http:
        transport = streamable_http_client(url, http_client=http)
        extensions = [Polling()] if extensions is None else extensions
        async with Client(transport, mode=mode, cache=None, extensions=extensions) as client:
            yield client


async def begin(client, **arguments):
    """The task of a cell."""
    handle = await client.session.call_tool("execute", {"code": "x", **arguments}, allow_claimed=True)
    assert isinstance(handle, TaskHandle)
    return handle.task_id


async def get(client, task_id):
    return await of_task(client.session, "get", task_id)


async def ended(client, task_id):
    while (said := await get(client, task_id))["status"] == "working":
        pass
    return said


async def test_a_call_within_its_grace_is_answered_as_any_other(connect):
    polling = Polling()
    async with connect(task_grace_seconds=60) as url, agent(url, extensions=[polling]) as client:
        result = await client.call_tool("execute", {"code": "x"})
    assert result.structured_content["result"] == "42"
    assert polling.handles == []


async def test_a_call_that_outlasts_its_grace_is_a_task_and_its_result_waits_there(connect, cells, gateway):
    async with connect() as url, agent(url) as client:
        task_id = await begin(client)
        working = await get(client, task_id)
        cells.running[0].set_result(gateway.answer)
        done = await ended(client, task_id)
        again = await get(client, task_id)
    assert (working["status"], "result" in working) == ("working", False)
    assert done["status"] == "completed"
    assert done["result"]["structuredContent"]["result"] == "42"
    assert done["result"]["isError"] is False
    assert again == done


async def test_the_official_client_gets_the_result_without_knowing_of_the_task(connect, cells, gateway):
    polling = Polling()
    async with connect() as url, agent(url, extensions=[polling]) as client:
        call = asyncio.create_task(client.call_tool("execute", {"code": "x"}))
        await until(lambda: len(polling.polled) > 1)
        cells.running[0].set_result(gateway.answer)
        result = await call
    assert result.structured_content["result"] == "42"
    assert len(polling.handles) == 1


async def test_a_refusal_that_came_late_is_a_result_with_its_code(connect, cells):
    async with connect() as url, agent(url) as client:
        task_id = await begin(client)
        cells.running[0].set_exception(GatewayError("busy", "the session runs another cell", retry_after=5))
        done = await ended(client, task_id)
    assert done["status"] == "completed"
    assert done["result"]["isError"] is True
    assert done["result"]["structuredContent"]["code"] == "busy"


@pytest.mark.parametrize("mode", [MODERN, "legacy"])
async def test_a_client_that_cannot_poll_waits_for_its_result(connect, cells, gateway, mode):
    async with connect() as url, agent(url, mode=mode, extensions=[]) as client:
        call = asyncio.create_task(client.call_tool("execute", {"code": "x"}))
        await until(lambda: cells.running)
        cells.running[0].get_loop().call_later(0.1, cells.running[0].set_result, gateway.answer)
        assert (await call).structured_content["result"] == "42"


async def test_word_of_progress_stops_when_the_call_became_a_task(connect, cells, gateway):
    heard = []

    async def hear(progress, total, message):
        heard.append(progress)

    polling = Polling()
    async with connect(task_grace_seconds=0.2) as url, agent(url, extensions=[polling]) as client:
        call = asyncio.create_task(client.call_tool("execute", {"code": "x"}, progress_callback=hear))
        await until(lambda: cells.progress)
        await cells.progress[0](0.5)
        await until(lambda: polling.polled)
        await cells.progress[0](1.5)
        cells.running[0].set_result(gateway.answer)
        await call
    assert heard == [0.5]


@pytest.mark.parametrize("request_id", ["", "r"])
async def test_cancelling_a_task_interrupts_its_cell_for_good(connect, cells, gateway, request_id):
    async with connect() as url, agent(url) as client:
        task_id = await begin(client, request_id=request_id)
        assert "taskId" not in await of_task(client.session, "cancel", task_id)
        await gateway.cancelled.wait()
        done = await ended(client, task_id)
        assert "taskId" not in await of_task(client.session, "cancel", task_id)
    assert (done["status"], "result" in done) == ("cancelled", False)
    assert gateway.asked[-1][3] is False


@pytest.mark.parametrize("method", ["get", "update", "cancel"])
@pytest.mark.parametrize("part", OTHERS)
async def test_anothers_task_is_not_found_and_looks_like_one_that_never_was(connect, cells, gateway, method, part):
    more = {"inputResponses": {}} if method == "update" else {}
    async with connect() as url, agent(url) as client, agent(url, part) as other:
        task_id = await begin(client)
        with pytest.raises(MCPError) as refused:
            await of_task(other.session, method, task_id, **more)
        with pytest.raises(MCPError) as unknown:
            await of_task(other.session, method, "never-was", **more)
        assert (await get(client, task_id))["status"] == "working"
    assert refused.value.error == unknown.value.error
    assert refused.value.error.code == INVALID_PARAMS
    assert not gateway.cancelled.is_set()


@pytest.mark.parametrize("method", ["get", "update", "cancel"])
async def test_who_cannot_poll_may_not_ask_for_tasks(connect, cells, method):
    async with connect() as url, agent(url) as client, agent(url, extensions=[]) as other:
        task_id = await begin(client)
        with pytest.raises(MCPError) as refused:
            await of_task(other.session, method, task_id, inputResponses={})
    assert refused.value.error.code == MISSING_REQUIRED_CLIENT_CAPABILITY
    assert refused.value.error.data == {"requiredCapabilities": {"extensions": {IDENTIFIER: {}}}}


@pytest.mark.parametrize("method", ["get", "update", "cancel"])
async def test_the_routing_header_must_name_the_task(connect, cells, gateway, method, monkeypatch):
    async with connect() as url, agent(url) as client:
        task_id = await begin(client)
        monkeypatch.setattr(TaskRequest, "name_param", None)
        with pytest.raises(MCPError) as refused:
            await of_task(client.session, method, task_id, inputResponses={})
    assert refused.value.error.code == HEADER_MISMATCH
    assert not gateway.cancelled.is_set()


async def test_the_same_request_gets_the_same_task_while_it_runs(connect, cells, gateway):
    async with connect() as url, agent(url) as client:
        first = await begin(client, request_id="r")
        assert await begin(client, request_id="r") == first
        assert len(cells.running) == 1
        assert await begin(client, request_id="r", session_id="s2") != first
        assert await begin(client, request_id="other") != first
        cells.running[0].set_result(gateway.answer)
        await ended(client, first)
        assert await begin(client, request_id="r") != first  # the gateway keeps answers, and knows what may be repeated
    assert len(cells.running) == 4


async def test_a_call_without_a_request_id_is_a_task_of_its_own(connect, cells):
    async with connect() as url, agent(url) as client:
        assert await begin(client) != await begin(client)
    assert len(cells.running) == 2


async def test_a_connection_lost_within_the_grace_leaves_a_named_cell_to_be_joined(connect, cells, gateway):
    async with connect(task_grace_seconds=0.3) as url:
        async with agent(url) as client:
            call = asyncio.create_task(begin(client, request_id="r"))
            await until(lambda: cells.running)
            call.cancel()
            await asyncio.wait({call})
        async with agent(url) as client:
            task_id = await begin(client, request_id="r")
            assert not gateway.cancelled.is_set()
            await of_task(client.session, "cancel", task_id)
            await gateway.cancelled.wait()
    assert len(cells.running) == 1


async def test_a_connection_lost_within_the_grace_interrupts_a_cell_without_a_name(connect, cells, gateway):
    async with connect(task_grace_seconds=60) as url, agent(url) as client:
        call = asyncio.create_task(begin(client))
        await until(lambda: cells.running)
        call.cancel()
        await asyncio.wait({call})
        await gateway.cancelled.wait()
    assert gateway.asked[-1][3] is False


@pytest.mark.parametrize("kept", [{"max_answers": 2}, {"max_answer_bytes": 2 * 1024 * 1024}])
async def test_with_no_room_for_another_task_a_call_stays_a_call(connect, cells, gateway, kept):
    polling = Polling()
    async with connect(answers=kept) as url, agent(url, extensions=[polling]) as client, agent(url, "subject") as other:
        for _ in range(2):
            await begin(client)
        call = asyncio.create_task(client.call_tool("execute", {"code": "the third"}))
        await until(lambda: len(cells.running) == 3)
        await begin(other)  # has room of its own, and outlasts a grace that began later
        assert not call.done()
        cells.running[2].set_result(gateway.answer)
        assert (await call).structured_content["result"] == "42"
    assert polling.handles == []


async def test_a_result_takes_no_more_room_than_it_has(connect, cells, gateway):
    async with connect(answers={"max_answer_bytes": 1024 * 1024 + 2000}) as url, agent(url) as client:
        first = await begin(client)
        cells.running[0].set_result(gateway.answer)
        await ended(client, first)
        await begin(client)  # would have no room beside a task that may still grow to a whole event
        gone = asyncio.create_task(client.call_tool("execute", {"code": "x"}))
        await until(lambda: len(cells.running) == 3)
        cells.running[2].set_result(ExecuteResult("ok", "s1", 3, result="answered"))
        assert (await gone).structured_content["result"] == "answered"


async def test_a_result_is_kept_for_its_time_and_then_gone(connect, cells, gateway):
    async with connect(answers={"answer_ttl_seconds": 0.2}) as url, agent(url) as client:
        task_id = await begin(client)
        cells.running[0].set_result(gateway.answer)
        done = await ended(client, task_id)
        with pytest.raises(MCPError) as gone:
            while True:
                await get(client, task_id)
    assert done["ttlMs"] >= 200
    assert gone.value.error.code == INVALID_PARAMS


async def test_the_time_to_live_grows_while_the_cell_runs_and_then_stands(connect, cells, gateway):
    async with connect(answers={"answer_ttl_seconds": 60}) as url, agent(url) as client:
        task_id = await begin(client)
        first = await get(client, task_id)
        while (later := await get(client, task_id))["ttlMs"] == first["ttlMs"]:
            pass
        cells.running[0].set_result(gateway.answer)
        done = await ended(client, task_id)
        assert await get(client, task_id) == done
    assert 60_000 <= first["ttlMs"] < later["ttlMs"] <= done["ttlMs"]
    assert done["createdAt"] == first["createdAt"] <= done["lastUpdatedAt"]
