"""Reserve, commit and refund, at both sides of every budget."""

import pytest
from pydantic import ValidationError

from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.budgets import Budget, reserve
from kernel_gateway.limits.exceeded import ExceededError
from kernel_gateway.limits.meter import Meter
from kernel_gateway.limits.rates import Rates
from kernel_gateway.limits.settings import MEMORY, LimitSettings
from kernel_gateway.limits.usage import NOTHING, UNLIMITED, Tally, Usage
from kernel_gateway.upstreams.base import UpstreamError
from tests.limits.conftest import caller

LEVELS = {
    "execution": ("writes", "bytes"),
    "session": ("writes", "bytes", "seconds"),
    "tree": ("calls", "writes", "bytes", "seconds"),
}
EVERY = [(level, unit) for level, units in LEVELS.items() for unit in units]


def amount(unit, value):
    return Usage(milliseconds=value * 1000) if unit == "seconds" else Usage(**{unit: value})


def meter(clock, **values):
    settings = LimitSettings(**values)
    return Meter(settings, Rates(settings.rates, MEMORY, clock), None)


@pytest.fixture
def tallies():
    return {"cell": Tally(), "session": Tally(), "tree": Tally()}


@pytest.mark.parametrize(("level", "unit"), EVERY)
async def test_a_budget_may_be_used_up_and_not_passed(clock, tallies, level, unit):
    counted = meter(clock, budgets={level: {unit: 10}})
    (await counted.reserve(amount(unit, 7), caller(), **tallies)).commit()
    with pytest.raises(ExceededError) as refused:
        await counted.reserve(amount(unit, 4), caller(), **tallies)
    error = refused.value
    whose = {"execution": "cell", "session": "session", "tree": "fork tree"}[level]
    assert f"this {whose} has used 7 of its 10 {unit}" in error.message and error.retry_after is None
    assert error.policy == f"{unit}-per-{whose.replace(' ', '-')}"
    (await counted.reserve(amount(unit, 3), caller(), **tallies)).commit()
    with pytest.raises(ExceededError):
        await counted.reserve(amount(unit, 1), caller(), **tallies)


@pytest.mark.parametrize(
    ("level", "unit", "default"),
    [
        ("execution", "writes", 20), ("execution", "bytes", 512 << 20),
        ("session", "writes", 100), ("session", "bytes", 2 << 30), ("session", "seconds", 14_400),
        ("tree", "calls", 400), ("tree", "writes", 200), ("tree", "bytes", 8 << 30), ("tree", "seconds", 28_800),
    ],
)  # fmt: skip
async def test_the_default_budgets_hold_at_both_sides(clock, tallies, level, unit, default):
    plenty = {"writes": 10**9, "bytes": 10**15, "seconds": 10**6}
    others = {"execution": {"writes": 10**9, "bytes": 10**15}, "session": plenty, "tree": plenty | {"calls": 10**9}}
    counted = meter(clock, budgets={name: values for name, values in others.items() if name != level})
    reservation = await counted.reserve(amount(unit, default), caller(), **tallies)
    with pytest.raises(ExceededError):
        await counted.reserve(amount(unit, 1), caller(), **tallies)
    reservation.refund()
    with pytest.raises(ExceededError):
        await counted.reserve(amount(unit, default + 1), caller(), **tallies)


async def test_what_one_share_lacks_is_taken_from_none(clock, tallies):
    counted = meter(clock, budgets={"tree": {"bytes": 5}})
    with pytest.raises(ExceededError):
        await counted.reserve(Usage(calls=1, bytes=6), caller(), **tallies)
    assert {tally.used for tally in tallies.values()} == {NOTHING}


async def test_sessions_of_one_fork_tree_share_its_budget(clock):
    counted, tree = meter(clock, budgets={"tree": {"calls": 3}}), Tally()
    for _ in range(3):
        (await counted.reserve(Usage(calls=1), caller(), cell=Tally(), session=Tally(), tree=tree)).commit()
    with pytest.raises(ExceededError, match="fork tree"):
        await counted.reserve(Usage(calls=1), caller(), cell=Tally(), session=Tally(), tree=tree)
    await counted.reserve(Usage(calls=1), caller(), cell=Tally(), session=Tally(), tree=Tally())


@pytest.mark.parametrize(
    ("settle", "left"),
    [
        (lambda reservation: reservation.commit(), Usage(2, 1, 100, 0)),
        (lambda reservation: reservation.commit(Usage(1, 1, 30)), Usage(1, 1, 30, 0)),
        (lambda reservation: reservation.commit(Usage(2, 1, 130)), Usage(2, 1, 130, 0)),  # more than was thought
        (lambda reservation: reservation.refund(), NOTHING),
    ],
)
async def test_a_reservation_is_settled_once(settle, left):
    tally = Tally()
    reservation = await reserve([budget(tally)], Usage(2, 1, 100))
    assert tally.used == Usage(2, 1, 100)
    settle(reservation)
    assert tally.used == left
    reservation.refund()
    reservation.commit(NOTHING)
    assert tally.used == left


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (None, True),
        (RuntimeError(), True),
        (KeyboardInterrupt(), True),
        (UpstreamError("deadline", "no answer"), True),
        (UpstreamError("upstream_unavailable", "no connection", sent=False), False),
        (GatewayError("not_found", "the handle is spent"), False),
    ],
)
async def test_what_may_have_been_done_counts_and_what_was_surely_not_done_does_not(error, counts):
    tally = Tally()
    try:
        with await reserve([budget(tally)], Usage(calls=1)):
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    assert tally.used == (Usage(calls=1) if counts else NOTHING)


@pytest.mark.parametrize("value", [-1, 2**63, float("nan")])
def test_a_budget_is_a_number_that_can_be_counted_to(value):
    with pytest.raises(ValidationError):
        LimitSettings(budgets={"tree": {"calls": value}})


@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan")])
def test_a_budget_of_time_is_a_number_of_seconds(value):
    with pytest.raises(ValidationError):
        LimitSettings(quotas={"principal": {"seconds": value}})


def budget(tally):
    return Budget(tally, Usage(*[UNLIMITED] * 4), "cell", "stop")
