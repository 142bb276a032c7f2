"""The outer door counts: cells and searches by their rates, running time by budgets and quotas."""

import pytest
from mcp import Client

from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.result import ExecuteRequest
from tests.limits.redis_server import RedisServer


@pytest.fixture
async def make(gateway_settings, world_and_app):
    async def app(**limits):
        _, made = await world_and_app(gateway_settings(limits=limits))
        return made

    return app


async def refusal(awaitable):
    with pytest.raises(GatewayError) as caught:
        await awaitable
    return caught.value


async def test_cells_over_their_rate_do_not_run(make):
    app = await make(rates={"execute": ["2/hour per token"]})
    me = app.stdio_principal()
    first = await app.gateway.execute(me, ExecuteRequest("n = 1"))
    await app.gateway.execute(me, ExecuteRequest("n = 2", first.session_id))
    error = await refusal(app.gateway.execute(me, ExecuteRequest("n = 3", first.session_id)))
    assert (error.code, error.policy) == ("limited", "execute-per-token") and 3500 < error.retry_after <= 3600
    assert (await app.gateway.session(me, first.session_id))["cells"] == 2


async def test_searches_over_their_rate_are_refused(make):
    app = await make(rates={"search": ["1/hour per client"]})
    me = app.stdio_principal()
    await app.gateway.search(me, "job")
    assert (await refusal(app.gateway.search(me, "job"))).policy == "search-per-client"


async def test_a_limited_tool_call_is_a_result_with_its_wait(make):
    app = await make(rates={"execute": ["1/hour per token"], "search": ["1/hour per token"]})
    async with Client(app.mcp_server(app.stdio_principal)) as agent:
        for name, arguments in (("execute", {"code": "1"}), ("search", {"query": "job"})):
            assert not (await agent.call_tool(name, arguments)).is_error
            result = await agent.call_tool(name, arguments)
            told = result.structured_content
            assert (result.is_error, told["status"], told["code"]) == (True, "limited", "limited")
            assert 3500 < told["retry_after"] <= 3600


@pytest.mark.parametrize("level", ["session", "tree"])
async def test_a_cell_needs_room_for_its_deadline_and_uses_the_time_it_ran(make, level):
    app = await make(budgets={level: {"seconds": 100}})
    me = app.stdio_principal()
    error = await refusal(app.gateway.execute(me, ExecuteRequest("1", timeout_seconds=100.5)))
    assert error.code == "limited" and "of its 100 seconds" in error.message
    assert await app.gateway.sessions(me) == []
    first = await app.gateway.execute(me, ExecuteRequest("1", timeout_seconds=100))
    assert first.status == "ok"
    again = await app.gateway.execute(me, ExecuteRequest("1", first.session_id, timeout_seconds=50))
    assert again.status == "ok"  # the first ran for less than its deadline, and only that counts
    error = await refusal(app.gateway.execute(me, ExecuteRequest("1", first.session_id, timeout_seconds=100)))
    assert error.code == "limited"


async def test_running_time_is_a_quota_of_the_day(make):
    app = await make(quotas={"principal": {"seconds": 60}})
    me = app.stdio_principal()
    assert (await app.gateway.execute(me, ExecuteRequest("1", timeout_seconds=60))).status == "ok"
    error = await refusal(app.gateway.execute(me, ExecuteRequest("1", timeout_seconds=60)))
    assert (error.code, error.policy) == ("limited", "seconds-per-principal")


async def test_a_session_at_its_cap_is_told_how_many_there_may_be(gateway_settings, world_and_app):
    _, app = await world_and_app(gateway_settings(sessions={"max_sessions_per_principal": 1}))
    me = app.stdio_principal()
    await app.gateway.execute(me, ExecuteRequest("1"))
    error = await refusal(app.gateway.execute(me, ExecuteRequest("1")))
    assert (error.policy, error.quota, error.window_seconds) == ("sessions-per-token", 1, 0)


async def test_with_its_redis_killed_no_cell_runs_and_no_operation_is_called(make, tmp_path):
    redis = RedisServer(tmp_path)
    await redis.start()
    try:
        app = await make(store=redis.url)
        me = app.stdio_principal()
        first = await app.gateway.execute(me, ExecuteRequest("image_ops.quota_get()['org']"))
        assert first.status == "ok"
        await redis.kill()
        for attempt in (
            app.gateway.execute(me, ExecuteRequest("1", first.session_id)),
            app.gateway.search(me, "job"),
            app.gateway.admit(me),
        ):
            assert (await refusal(attempt)).code == "disabled"
        await redis.start()
        again = await app.gateway.execute(me, ExecuteRequest("1", first.session_id))
        assert again.execution_count == 2
    finally:
        await redis.kill()
