"""Progress, cancellation and identity over the transports of the product."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from kernel_gateway.frontends.progress import survives_disconnect
from kernel_gateway.sessions.result import ExecuteResult

MODERN = "2026-07-28"
SCRIPT = Path(__file__).with_name("rehearsed.py")


async def told_twice(request, on_progress):
    await on_progress(0.512)
    await on_progress(1.5)
    return ExecuteResult("ok", "s1", 1, result="done")


async def forever(request, on_progress):
    await on_progress(0.5)
    await asyncio.Event().wait()


@pytest.fixture(params=["legacy", MODERN])
def http_era(request):
    return request.param


async def test_a_running_cell_is_heard_of_in_memory(in_memory, gateway):
    heard, gateway.run = [], told_twice

    async def hear(progress, total, message):
        heard.append((progress, total, message))

    async with in_memory() as client:
        result = await client.call_tool("execute", {"code": "x"}, progress_callback=hear)
    assert heard == [
        (0.5, None, "the cell has been running for 1 s"),
        (1.5, None, "the cell has been running for 2 s"),
    ]
    assert result.structured_content["result"] == "done"


async def test_a_running_cell_is_heard_of_over_http(rehearsed, gateway, over_http, http_era):
    heard, gateway.run = [], told_twice

    async def hear(progress, total, message):
        heard.append(progress)

    async with rehearsed.over_http(gateway) as url, over_http(url, http_era) as client:
        result = await client.call_tool("execute", {"code": "x"}, progress_callback=hear)
    assert heard == [0.5, 1.5]
    assert result.structured_content["result"] == "done"


async def test_a_caller_that_did_not_ask_hears_nothing_and_gets_its_answer(rehearsed, gateway, over_http, http_era):
    gateway.run = told_twice
    async with rehearsed.over_http(gateway) as url, over_http(url, http_era) as client:
        result = await client.call_tool("execute", {"code": "x"})
    assert result.structured_content["result"] == "done"


async def test_a_real_cancel_interrupts_the_cell_in_memory(in_memory, gateway):
    gateway.run = forever
    async with in_memory() as client:
        call = asyncio.create_task(client.call_tool("execute", {"code": "x", "request_id": "r"}))
        await gateway.entered.wait()
        call.cancel()
        await asyncio.wait({call})
        await gateway.cancelled.wait()
    assert gateway.asked[-1][3] is False


async def test_a_legacy_cancel_over_http_interrupts_even_with_a_request_id(rehearsed, gateway, over_http):
    gateway.run = forever
    async with rehearsed.over_http(gateway) as url, over_http(url, "legacy") as client:
        call = asyncio.create_task(client.call_tool("execute", {"code": "x", "request_id": "r"}))
        await gateway.entered.wait()
        call.cancel()
        await asyncio.wait({call})
        await gateway.cancelled.wait()
    assert gateway.asked[-1][3] is False


@pytest.mark.parametrize(("request_id", "detaches"), [("", False), ("r", True)])
async def test_a_modern_disconnect_cancels_and_detaches_where_the_caller_named_a_request_id(
    rehearsed, gateway, over_http, request_id, detaches
):
    gateway.run = forever
    async with rehearsed.over_http(gateway) as url, over_http(url, MODERN) as client:
        call = asyncio.create_task(client.call_tool("execute", {"code": "x", "request_id": request_id}))
        await gateway.entered.wait()
        call.cancel()
        await asyncio.wait({call})
        await gateway.cancelled.wait()
    assert gateway.asked[-1][3] is detaches


async def test_a_call_over_http_acts_for_the_bearer_of_its_token(rehearsed, gateway, over_http, http_era):
    async with rehearsed.over_http(gateway) as url, over_http(url, http_era) as client:
        await client.call_tool("execute", {"code": "x"})
        await client.read_resource("kernel://sessions/s1/transcript")
    alice = replace(rehearsed.ALICE, front_end="mcp")
    assert [asked[1] for asked in gateway.asked] == [alice, alice]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_same_server_speaks_stdio_in_both_eras(mode):
    parameters = StdioServerParameters(command=sys.executable, args=["-W", "error", str(SCRIPT)])
    heard = asyncio.Event()

    async def hear(progress, total, message):
        heard.set()

    async with Client(parameters, mode=mode, cache=None) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["search", "execute"]
        result = await client.call_tool("execute", {"code": "hello"})
        assert result.structured_content["stdout"] == "hello"
        invalid = await client.call_tool("execute", {})
        assert invalid.structured_content["code"] == "invalid"
        call = asyncio.create_task(client.call_tool("execute", {"code": "wait"}, progress_callback=hear))
        await heard.wait()
        call.cancel()
        await asyncio.wait({call})
        after = await client.call_tool("execute", {"code": "still there"})
        assert after.structured_content["stdout"] == "still there"


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
@pytest.mark.parametrize("over_http", [True, False])
@pytest.mark.parametrize("request_id", ["", "r"])
def test_before_2026_a_cancel_is_always_meant(version, over_http, request_id):
    assert not survives_disconnect(version, over_http, request_id)


@pytest.mark.parametrize("version", MODERN_PROTOCOL_VERSIONS)
def test_since_2026_only_a_named_call_over_http_survives_its_connection(version):
    assert survives_disconnect(version, True, "r")
    assert not survives_disconnect(version, True, "")
    assert not survives_disconnect(version, False, "r")
    assert not survives_disconnect(version, False, "")
