"""`/metrics` over real HTTP: who may read it."""

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from kernel_gateway.errors import ConfigError
from kernel_gateway.frontends.listener import bind
from kernel_gateway.settings import Settings

TOKEN = "0123456789abcdef" * 4


@pytest.fixture
async def service(gateway_settings, world_and_app, hold):
    """`await service(**metrics)` -> (http client, mint): a real service with these settings of `[metrics]`."""

    async def start(**metrics):
        world, app = await world_and_app(gateway_settings(metrics=metrics))
        bound = bind("127.0.0.1", 0)
        await hold(app.serving(bound))
        http = await hold(httpx2.AsyncClient(base_url=f"http://127.0.0.1:{bound.port}"))
        return http, lambda scope: {"Authorization": f"Bearer {world.mint('somebody', scope)}"}

    return start


async def test_by_default_it_takes_the_scope_of_an_operator(service):
    http, mint = await service()
    assert (await http.get("/metrics")).status_code == 401
    refused = await http.get("/metrics", headers=mint("kernel.read kernel.execute kernel.approve"))
    assert (refused.status_code, refused.json()["code"]) == (403, "denied")
    answer = await http.get("/metrics", headers=mint("kernel.admin"))
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "kg_ready 1.0" in answer.text.splitlines()
    refusals = 'http_server_request_duration_seconds_count{http_request_method="GET",'
    assert f'{refusals}http_response_status_code="401",http_route="/metrics"}} 1.0' in answer.text


async def test_a_scrapers_own_token_reads_it_and_opens_nothing_else(service):
    http, mint = await service(token=TOKEN)
    mine = {"Authorization": f"Bearer {TOKEN}"}
    assert (await http.get("/metrics", headers=mine)).status_code == 200
    assert (await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}0"})).status_code == 401
    assert (await http.get("/metrics", headers=mint("kernel.admin"))).status_code == 200
    assert (await http.get("/v1/switch", headers=mine)).status_code == 401
    assert (await http.put("/v1/switch", headers=mine, json={"execute": "off"})).status_code == 401


async def test_on_loopback_only_what_no_proxy_passed_on_is_believed(service):
    http, _ = await service(access="loopback")
    assert (await http.get("/metrics")).status_code == 200
    for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Via"):
        assert (await http.get("/metrics", headers={name: "1"})).status_code == 401
    assert (await http.get("/v1/sessions")).status_code == 401


async def test_in_public_anybody_reads_it_by_an_allowed_name_alone(service):
    http, _ = await service(access="public")
    assert (await http.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"})).status_code == 200
    assert (await http.get("/metrics", headers={"Host": "rebound.example"})).status_code == 421
    assert (await http.get("/metrics", headers={"Origin": "https://rebound.example"})).status_code == 403
    assert (await http.post("/metrics")).status_code == 405


@pytest.mark.parametrize("token", ["short", "with space" * 4, "ü" * 40])
def test_a_token_that_can_be_guessed_or_cannot_be_sent_is_refused(token):
    with pytest.raises(ConfigError, match="at least 32 random characters"):
        Settings.of({"metrics": {"token": token}})


async def test_every_message_of_a_client_is_counted_with_how_it_ended(service):
    http, mint = await service(token=TOKEN)
    http.headers.update(mint("kernel.search kernel.execute"))
    async with Client(streamable_http_client(f"{http.base_url}/mcp", http_client=http)) as agent:
        await agent.call_tool("search", {"query": "quota"})
        await agent.call_tool("execute", {"code": ""})
        await agent.call_tool("execute", {"code": "1/0"})
    text = (await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})).text
    for tool, outcome in (("search", "ok"), ("execute", "ok"), ("execute", "refused")):
        assert f'kg_tool_calls_total{{outcome="{outcome}",tool="{tool}"}} 1.0' in text.splitlines()
    calls = 'mcp_server_operation_duration_seconds_count{error_type="tool_error",gen_ai_tool_name="execute"'
    assert f'{calls},mcp_method_name="tools/call"}} 1.0' in text.splitlines()
    assert 'kg_cells_total{status="error"} 1.0' in text.splitlines()
