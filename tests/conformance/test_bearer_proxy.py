"""The proxy must not change what the suite sees: events come as they happen, and a client that leaves is noticed."""

import asyncio

import httpx2
import pytest
from mcp import Client


@pytest.fixture
async def proxied(rehearsed, bearer_proxy):
    gateway = rehearsed.RehearsedGateway()
    async with rehearsed.over_http(gateway, "t") as url, bearer_proxy(url, "t") as through:
        yield gateway, url, through


async def test_the_endpoint_behind_refuses_who_comes_without_the_proxy(proxied):
    _, url, through = proxied
    async with httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.post(url, json={})).status_code == 401
        assert (await client.post(through, json={})).status_code != 401


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_an_event_arrives_while_the_cell_still_runs(proxied, mode):
    gateway, _, through = proxied
    heard = asyncio.Event()

    async def run(request, on_progress):
        await on_progress(0.5)
        await heard.wait()
        return gateway.answer

    async def hear(progress, total, message):
        heard.set()

    gateway.run = run
    async with Client(through, mode=mode) as client:
        result = await client.call_tool("execute", {"code": "x"}, progress_callback=hear)
    assert result.structured_content["result"] == "42"


async def test_a_client_that_leaves_is_noticed_behind_the_proxy(proxied):
    gateway, _, through = proxied

    async def run(request, on_progress):
        await asyncio.Event().wait()

    gateway.run = run
    async with Client(through, mode="auto") as client:
        call = asyncio.create_task(client.call_tool("execute", {"code": "x"}))
        await gateway.entered.wait()
        call.cancel()
        await asyncio.wait({call})
        await gateway.cancelled.wait()
