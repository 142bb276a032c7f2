"""Over real HTTP: one request too many is a 429 that says how to pace."""

import httpx2
import pytest

from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.listener import bind
from kernel_gateway.frontends.pace import pace
from kernel_gateway.limits.exceeded import ExceededError
from tests.limits.redis_server import RedisServer


@pytest.fixture
async def service(gateway_settings, world_and_app, hold):
    """service(limits) -> get(path, subject): against a whole gateway with its limits."""

    async def start(**limits):
        world, app = await world_and_app(gateway_settings(limits=limits))
        bound = bind("127.0.0.1", 0)
        await hold(app.serving(bound))
        client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{bound.port}", trust_env=False)
        http = await hold(client)

        async def ask(path="/v1/sessions", subject="ada", method="GET"):
            token = world.mint(subject, "kernel.read kernel.execute") if subject else "no-token"
            return await http.request(method, path, headers={"Authorization": f"Bearer {token}"})

        return ask

    return start


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/sessions"), ("POST", "/mcp"), ("GET", "/v1/sessions/x")])
async def test_one_request_too_many_is_a_problem_with_the_standard_headers(service, method, path):
    ask = await service(rates={"request": ["2/hour per token"]})
    for _ in range(2):
        assert (await ask(path, method=method)).status_code not in (401, 403, 429)
    answer = await ask(path, method=method)
    assert (answer.status_code, answer.headers["content-type"]) == (429, "application/problem+json")
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["title"]) == (429, "limited", "Too Many Requests")
    wait = int(answer.headers["retry-after"])
    assert 3500 < wait <= 3600 and problem["retry_after"] == wait
    assert answer.headers["ratelimit-policy"] == '"request-per-token";q=2;w=3600'
    assert answer.headers["ratelimit"] == f'"request-per-token";r=0;t={wait}'
    assert (await ask(path, "bob", method)).status_code != 429


async def test_who_is_not_known_uses_up_nobodys_rate_and_what_is_public_has_none(service):
    ask = await service(rates={"request": ["1/hour per organisation"]})
    for _ in range(3):
        assert (await ask(subject="")).status_code == 401
        assert (await ask("/healthz")).status_code == 200
    assert (await ask()).status_code == 200
    assert (await ask(subject="bob")).status_code == 429


async def test_with_its_redis_killed_no_request_is_served_but_the_public_ones(service, tmp_path):
    redis = RedisServer(tmp_path)
    await redis.start()
    try:
        ask = await service(store=redis.url)
        assert (await ask()).status_code == 200
        await redis.kill()
        answer = await ask()
        assert (answer.status_code, answer.json()["code"]) == (503, "disabled")
        assert (await ask("/healthz")).status_code == 200
    finally:
        await redis.kill()


async def test_a_limit_without_a_window_names_its_quota_alone(serve):
    service = await serve()
    refusal = ExceededError("enough", policy="sessions-per-token", quota=25)
    service.gateway.failure = refusal
    answer = await service.http.get("/v1/sessions", headers=service.headers())
    assert answer.headers["ratelimit-policy"] == '"sessions-per-token";q=25'
    assert answer.headers["ratelimit"] == '"sessions-per-token";r=0' and "retry-after" not in answer.headers
    service.gateway.failure = GatewayError("not_found", "nothing")
    assert "ratelimit" not in (await service.http.get("/v1/sessions", headers=service.headers())).headers


def test_a_number_too_large_for_a_header_is_the_largest_there_is():
    refusal = ExceededError("enough", policy="bytes-per-principal", quota=2**62, window_seconds=86_400, retry_after=1.2)
    assert pace(refusal) == {
        "RateLimit-Policy": '"bytes-per-principal";q=999999999999999;w=86400',
        "RateLimit": '"bytes-per-principal";r=0;t=2',
    }
