"""Rates at both sides of each window, and who shares an allowance with whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.limits.exceeded import ExceededError
from kernel_gateway.limits.rate import WHOM, bucket, parse_rate
from kernel_gateway.limits.rates import Rates
from kernel_gateway.limits.settings import MEMORY, LimitSettings, RateSettings
from kernel_gateway.limits.windows import MemoryWindows
from kernel_gateway.policy.settings import PolicySettings
from tests.limits.conftest import Clock, caller

NOTHING = {"request": [], "execute": [], "search": [], "call": [], "operation": []}


def rates(clock, **lines):
    return Rates(RateSettings(**(NOTHING | lines)), MEMORY, clock)


async def allowed(counted, *arguments, tries=20):
    """How many of `tries` come through, and the refusal of the next."""
    for number in range(tries):
        try:
            await counted.admit(*arguments)
        except ExceededError as error:
            return number, error
    return tries, None


@pytest.mark.parametrize("kind", ["request", "execute", "search", "call"])
async def test_a_rate_allows_its_count_and_not_one_more_and_says_when_there_is_room(clock, kind):
    counted = rates(clock, **{kind: ["3/minute per token"]})
    for _ in range(3):
        await counted.admit(kind, caller())
        clock.now += 10
    with pytest.raises(ExceededError) as refused:
        await counted.admit(kind, caller())
    error = refused.value
    assert (error.code, error.retry_after, error.quota, error.window_seconds) == ("limited", 30, 3, 60)
    assert error.policy == f"{kind}-per-token" and "3/minute per token" in error.message
    clock.now += 29.9
    assert (await allowed(counted, kind, caller()))[0] == 0
    clock.now += 0.1  # now the first is a minute old, and nothing else
    assert (await allowed(counted, kind, caller()))[0] == 1


@pytest.mark.parametrize(("kind", "most"), [("execute", 6), ("call", 20)])
async def test_in_a_controlled_phase_the_tighter_rate_holds_at_both_sides_and_only_then(clock, kind, most):
    policy = [PolicySettings(rollout="controlled-write")]
    counted = Rates(RateSettings(), MEMORY, clock, per_minute=lambda kind: policy[0].per_minute(kind))
    count, error = await allowed(counted, kind, caller(), tries=most + 1)
    assert (count, error.quota, error.window_seconds) == (most, most, 60)
    assert (await allowed(counted, kind, caller("bob"), tries=1))[0] == 1
    policy[0] = PolicySettings()
    assert (await allowed(counted, kind, caller(), tries=1))[0] == 1


async def test_of_several_windows_all_hold(clock):
    counted = rates(clock, execute=["2/second per token", "3/minute per token"])
    assert (await allowed(counted, "execute", caller()))[0] == 2
    clock.now += 1
    count, error = await allowed(counted, "execute", caller())
    assert (count, error.window_seconds) == (1, 60)


@pytest.mark.parametrize(
    ("whom", "other", "shares"),
    [
        ("token", {"expires_at": 3e9}, True),  # a fresh token of the same caller
        ("token", {"subject": "bob"}, False),
        ("token", {"client": "editor"}, False),
        ("client", {"subject": "bob"}, True),
        ("client", {"client": "editor"}, False),
        ("client", {"organisation": "other"}, False),
        ("organisation", {"subject": "bob", "client": "editor"}, True),
        ("organisation", {"organisation": "other"}, False),
    ],
)
async def test_an_allowance_is_shared_by_exactly_those_it_is_for(clock, whom, other, shares):
    counted = rates(clock, search=[f"1/hour per {whom}"])
    await counted.admit("search", caller())
    assert (await allowed(counted, "search", caller(**other), tries=1))[0] == (0 if shares else 1)


async def test_who_is_over_their_own_rate_takes_nothing_from_the_others(clock):
    counted = rates(clock, call=["3/minute per organisation", "1/minute per token"])
    count, error = await allowed(counted, "call", caller(), "image_ops:jobs_get")
    assert (count, error.policy) == (1, "call-per-token")
    assert (await allowed(counted, "call", caller("bob"), "image_ops:jobs_get"))[0] == 1
    assert (await allowed(counted, "call", caller("eve"), "image_ops:jobs_get"))[0] == 1
    assert (await allowed(counted, "call", caller("dan"), "image_ops:jobs_get"))[1].policy == "call-per-organisation"


async def test_each_operation_has_a_rate_of_its_own_and_one_may_have_another(clock):
    counted = rates(
        clock, operation=["1/minute per token"], operations={"image_ops:jobs_create": ["2/minute per organisation"]}
    )
    count, error = await allowed(counted, "call", caller(), "image_ops:jobs_get")
    assert (count, error.policy) == (1, "operation-per-token") and "`image_ops:jobs_get`" in error.message
    assert (await allowed(counted, "call", caller(), "image_ops:quota_get"))[0] == 1
    assert (await allowed(counted, "call", caller(), "image_ops:jobs_create"))[0] == 2
    assert (await allowed(counted, "call", caller("bob"), "image_ops:jobs_create"))[0] == 0


DEFAULTS = [(kind, text) for kind in NOTHING for text in getattr(RateSettings(), kind)]


@pytest.mark.parametrize(("kind", "text"), DEFAULTS)
async def test_each_default_rate_allows_its_count_and_not_one_more(clock, kind, text):
    counted, rate = rates(clock, **{kind: [text]}), parse_rate(text)
    asked = "call" if kind == "operation" else kind
    count, error = await allowed(counted, asked, caller(), "image_ops:jobs_get", tries=rate.count + 1)
    assert (count, error.window_seconds) == (rate.count, rate.seconds)


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5))
async def test_no_window_ever_holds_more_than_its_count_and_room_is_never_withheld(waits, limit):
    clock, taken = Clock(0.0), []
    windows = MemoryWindows(clock)
    for wait in waits:
        clock.now += wait
        room = sum(1 for at in taken if at > clock.now - 7) < limit
        assert await windows.acquire_entry("key", limit, 7) is room
        if room:
            taken.append(clock.now)


async def test_keys_that_nobody_uses_are_let_go(clock):
    windows = MemoryWindows(clock)
    for number in range(100):
        await windows.acquire_entry(f"key {number}", 1, 30)
    assert len(windows) == 100
    clock.now += 60
    await windows.acquire_entry("another", 1, 30)
    assert len(windows) == 1


names = st.text('",[]\\/ a', max_size=4)


@given(st.tuples(names, names, names, names), st.tuples(names, names, names, names), st.sampled_from(WHOM))
def test_nobody_can_choose_a_name_that_falls_into_anothers_bucket(one, other, whom):
    rate = parse_rate(f"5/minute per {whom}")

    def sharing(names):
        issuer, organisation, _, client = names
        return {
            "token": names,
            "client": (issuer, organisation, client),
            "organisation": organisation,
        }[whom]

    def of(names):
        issuer, organisation, subject, client = names
        return bucket(rate, "call", caller(subject, client, organisation, issuer))

    assert (of(one) == of(other)) is (sharing(one) == sharing(other))
    assert len({bucket(rate, kind, caller(*one)) for kind in ("call", "search", "operation a", "operation b")}) == 4


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5/second per token", 1),
        ("5/10 seconds per client", 10),
        ("5/minute per organisation", 60),
        ("5/day per token", 86_400),
    ],
)
def test_a_rate_reads_as_it_is_written(text, seconds):
    rate = parse_rate(text)
    assert (rate.count, rate.seconds, rate.whom) == (5, seconds, text.rpartition(" ")[2])


@pytest.mark.parametrize(
    "text",
    ["", "5/minute", "5/minute per", "5/minute per user", "0/minute per token", "5/0 minutes per token",
     "-1/minute per token", "5/fortnight per token", "5/minute; 6/hour per token", "many per token"],
)  # fmt: skip
def test_what_is_no_rate_is_refused_with_what_to_write(text):
    with pytest.raises(ValidationError) as refused:
        RateSettings(execute=[text])
    assert "write `600/minute per token`" in str(refused.value)


@pytest.mark.parametrize("store", ["", "redis", "memcached://somewhere", "https://redis.test"])
def test_another_store_is_refused(store):
    with pytest.raises(ValidationError, match="redis://host:6379/0"):
        LimitSettings(store=store)
    assert LimitSettings(store="rediss://redis.test").store.get_secret_value() == "rediss://redis.test"


def test_a_store_that_cannot_be_read_is_refused_without_its_password(clock):
    with pytest.raises(ConfigError) as refused:
        Rates(RateSettings(), "redis://:hunter2@host:no-port/0", clock)
    assert "hunter2" not in str(refused.value)


async def test_a_refusal_is_one_clear_line(clock):
    _, error = await allowed(rates(clock, execute=["1/10 seconds per client"]), "execute", caller())
    assert isinstance(error, GatewayError)
    assert error.message == "cells are limited to 1/10 seconds per client; wait before the next one"
