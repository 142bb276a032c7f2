"""Several gateways that count in one real Redis, and what they do when it is killed or stands still."""

import asyncio
import time

import pytest

from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.exceeded import ExceededError
from kernel_gateway.limits.rates import Rates
from kernel_gateway.limits.settings import RateSettings
from tests.limits.conftest import caller
from tests.limits.redis_server import RedisServer


@pytest.fixture
async def redis(tmp_path):
    server = RedisServer(tmp_path)
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
async def open_rates(redis):
    opened = []

    def make(*lines, store_timeout_seconds=10.0):
        settings = RateSettings(execute=lines)
        rates = Rates(settings, redis.url, time.time, store_timeout_seconds=store_timeout_seconds)
        opened.append(rates)
        return rates

    yield make
    for rates in opened:
        await rates.close()


async def test_gateways_that_share_a_redis_allow_the_count_together_and_not_one_more(open_rates):
    gateways = [open_rates("20/hour per token", "30/hour per organisation") for _ in range(3)]
    asked = [gateways[number % 3].admit("execute", caller()) for number in range(50)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(each is None for each in answers) == 20
    refusals = [each for each in answers if each is not None]
    assert {type(each) for each in refusals} == {ExceededError}
    assert {(each.policy, each.quota, each.window_seconds) for each in refusals} == {("execute-per-token", 20, 3600)}
    assert all(3000 < each.retry_after <= 3600 for each in refusals)
    assert await outcome(gateways[0], caller("bob")) == "allowed"


async def test_room_comes_back_in_redis_too(open_rates):
    rates = open_rates("1/second per token")
    assert await outcome(rates) == "allowed" and await outcome(rates) == "limited"
    while await outcome(rates) != "allowed":
        await asyncio.sleep(0)


async def test_without_its_redis_nobody_is_let_in_and_with_it_again_everybody(open_rates, redis, caplog):
    rates = open_rates("100/hour per token")
    assert await outcome(rates) == "allowed"
    await redis.kill()
    with pytest.raises(GatewayError) as refused:
        await rates.admit("execute", caller())
    assert refused.value.code == "disabled"
    assert "\n" not in refused.value.message and "redis" not in refused.value.message
    assert await outcome(rates) == "disabled"
    assert caplog.text.count("cannot be counted") == 1 and "ada" not in caplog.text
    await redis.start()
    assert await outcome(rates) == "allowed"


async def test_a_redis_that_stands_still_lets_nobody_in(open_rates, redis):
    rates = open_rates("100/hour per token", store_timeout_seconds=0.1)
    while await outcome(rates) != "allowed":  # the first connection may take longer on a busy machine
        await asyncio.sleep(0)
    redis.freeze()
    assert await outcome(rates) == "disabled"
    redis.thaw()
    while await outcome(rates) != "allowed":
        await asyncio.sleep(0)


async def test_a_redis_names_nobody(open_rates, redis):
    rates = open_rates("5/hour per token")
    await rates.admit("execute", caller())
    reader, writer = await asyncio.open_unix_connection(redis.url.removeprefix("redis+unix://"))
    writer.write(b"KEYS *\r\nQUIT\r\n")
    keys = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b"LIMITS:" in keys and b"ada" not in keys and b"acme" not in keys


async def outcome(rates, who=None):
    try:
        await rates.admit("execute", who or caller())
    except GatewayError as error:
        return error.code
    return "allowed"
