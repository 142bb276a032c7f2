"""A day's quota in a real database: shared, never passed, never lost."""

import asyncio
import os
import signal
import sqlite3
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.budgets import reserve
from kernel_gateway.limits.exceeded import ExceededError
from kernel_gateway.limits.quotas import PARTS, Quotas
from kernel_gateway.limits.settings import LimitSettings
from kernel_gateway.limits.usage import NOTHING, UNLIMITED, Usage
from kernel_gateway.store.database import Database
from tests.limits.conftest import Clock, caller

DAY = 86_400
PLENTY = Usage(*[UNLIMITED] * 4)


@pytest.fixture
async def open_quotas(tmp_path, clock):
    """Each is a gateway of its own over the same file."""
    opened = []

    async def make(principal=PLENTY, organisation=PLENTY, busy_timeout_seconds=5.0):
        database = Database(tmp_path / "state" / "gateway.db", busy_timeout_seconds=busy_timeout_seconds)
        quotas = Quotas(database, clock, principal=principal, organisation=organisation)
        opened.append((quotas, database))
        return quotas

    yield make
    for quotas, database in opened:
        try:
            await quotas.close()
        finally:
            await database.close()


def take(quotas, wanted, who=None):
    return reserve(quotas.of(who or caller()), wanted)


def counted(path):
    with sqlite3.connect(path / "state" / "gateway.db") as database:
        rows = database.execute("SELECT calls, writes, bytes, milliseconds FROM quotas ORDER BY day, calls").fetchall()
    database.close()
    return [Usage(*row) for row in rows]


@pytest.mark.parametrize("kind", ["principal", "organisation"])
@pytest.mark.parametrize("unit", Usage._fields)
async def test_a_quota_may_be_used_up_and_not_passed_until_the_next_day(open_quotas, clock, kind, unit):
    quotas = await open_quotas(**{kind: PLENTY._replace(**{unit: 1000})})
    (await take(quotas, Usage(**{unit: 600}))).commit()
    with pytest.raises(ExceededError) as refused:
        await take(quotas, Usage(**{unit: 401}))
    error = refused.value
    assert (error.code, error.retry_after, error.window_seconds) == ("limited", DAY / 2, DAY)
    assert error.policy == f"{'seconds' if unit == 'milliseconds' else unit}-per-{kind}"
    (await take(quotas, Usage(**{unit: 400}))).commit()
    with pytest.raises(ExceededError):
        await take(quotas, Usage(**{unit: 1}))
    clock.now += error.retry_after
    (await take(quotas, Usage(**{unit: 1000}))).commit()


@pytest.mark.parametrize("kind", ["principal", "organisation"])
@pytest.mark.parametrize("unit", Usage._fields)
async def test_the_default_quotas_hold_at_both_sides(open_quotas, kind, unit):
    most = getattr(LimitSettings().quotas, kind).most()
    quotas = await open_quotas(**{kind: most})
    with pytest.raises(ExceededError):
        await take(quotas, Usage(**{unit: getattr(most, unit) + 1}))
    (await take(quotas, Usage(**{unit: getattr(most, unit)}))).commit()
    with pytest.raises(ExceededError):
        await take(quotas, Usage(**{unit: 1}))


async def test_callers_have_quotas_of_their_own_and_share_their_organisations(open_quotas):
    quotas = await open_quotas(principal=PLENTY._replace(calls=2), organisation=PLENTY._replace(calls=3))
    for _ in range(2):
        await take(quotas, Usage(calls=1))
    with pytest.raises(ExceededError, match=r"^you may use 2 calls a day"):
        await take(quotas, Usage(calls=1))
    await take(quotas, Usage(calls=1), caller("bob"))
    with pytest.raises(ExceededError, match=r"^your organisation may use 3 calls a day"):
        await take(quotas, Usage(calls=1), caller("bob"))
    await take(quotas, Usage(calls=1), caller("bob", organisation="other"))


async def test_a_quota_that_was_used_up_stays_so_when_the_gateway_starts_again(open_quotas):
    first = await open_quotas(principal=PLENTY._replace(writes=2))
    (await take(first, Usage(writes=2))).commit()
    again = await open_quotas(principal=PLENTY._replace(writes=2))
    with pytest.raises(ExceededError):
        await take(again, Usage(writes=1))


async def test_most_reservations_cost_no_transaction_and_what_is_left_is_given_back(open_quotas, tmp_path):
    quotas = await open_quotas(principal=PLENTY._replace(calls=1000))
    (await take(quotas, Usage(calls=1))).commit()
    assert min(each.calls for each in counted(tmp_path)) == 1000 // PARTS
    for _ in range(8):
        (await take(quotas, Usage(calls=1))).commit()
    assert min(each.calls for each in counted(tmp_path)) == 1000 // PARTS
    await quotas.close()
    assert {each.calls for each in counted(tmp_path)} == {9}


async def test_a_caller_that_gives_up_while_the_database_works_loses_nothing(open_quotas, tmp_path):
    quotas = await open_quotas(principal=PLENTY._replace(calls=10))
    asking = asyncio.create_task(take(quotas, Usage(calls=10)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (await take(quotas, Usage(calls=10))).commit()
    await quotas.close()
    assert {each.calls for each in counted(tmp_path)} == {10}


# What several gateways over one file do at once: (which gateway, how much, then commit that part of it).
steps = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 40), st.sampled_from(["all", "half", "none", "cancel"])),
    min_size=1,
    max_size=40,
)


@given(steps, st.integers(1, 300))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_however_many_reserve_commit_and_refund_at_once_no_unit_is_used_twice_or_lost(
    tmp_path_factory, steps, limit
):
    path = tmp_path_factory.mktemp("quotas")
    databases = [Database(path / "state" / "gateway.db") for _ in range(2)]
    most = PLENTY._replace(calls=limit)
    gateways = [Quotas(each, Clock(DAY * 3.5), principal=most, organisation=PLENTY) for each in databases]
    used = held = refused = 0

    async def one(gateway, amount, end):
        nonlocal used, held, refused
        try:
            reservation = await take(gateways[gateway], Usage(calls=amount))
        except ExceededError:
            refused += 1
            return
        held += amount
        assert used + held <= limit
        await asyncio.sleep(0)
        part = {"all": amount, "half": amount // 2, "none": 0, "cancel": amount}[end]
        reservation.commit(Usage(calls=part))
        held, used = held - amount, used + part
        assert used + held <= limit

    tasks = [asyncio.create_task(one(*step)) for step in steps]
    for task, step in zip(tasks, steps, strict=True):
        if step[2] == "cancel":
            await asyncio.sleep(0)
            task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(each is None or isinstance(each, asyncio.CancelledError) for each in ended), ended
    cancelled = held  # between the reservation and its end a task of this test was cancelled: that much stays used
    for gateway in gateways:
        await gateway.close()
    assert {row.calls for row in counted(path)} <= {used + cancelled, 0}
    # nothing is lost: all that is left can be had, and not one more
    last = Quotas(databases[0], Clock(DAY * 3.5), principal=most, organisation=PLENTY)
    if left := limit - used - cancelled:
        (await take(last, Usage(calls=left))).commit()
    with pytest.raises(ExceededError):
        await take(last, Usage(calls=1))
    for database in databases:
        await database.close()


KILLED = """
import asyncio, sys
from pathlib import Path
from kernel_gateway.limits.budgets import reserve
from kernel_gateway.limits.quotas import Quotas
from kernel_gateway.limits.usage import UNLIMITED, Usage
from kernel_gateway.store.database import Database
from tests.limits.conftest import Clock, caller

async def main():
    most = Usage(int(sys.argv[2]), *[UNLIMITED] * 3)
    quotas = Quotas(Database(Path(sys.argv[1])), Clock(float(sys.argv[3])), principal=most, organisation=most)
    for _ in range(3):
        (await reserve(quotas.of(caller()), Usage(calls=1))).commit()
    await reserve(quotas.of(caller()), Usage(calls=1))
    print("reserved", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("limit", [10, 1000])
async def test_a_gateway_killed_with_a_reservation_costs_at_most_a_hundredth_until_the_day_ends(
    open_quotas, clock, tmp_path, limit
):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, tmp_path / "state" / "gateway.db", str(limit), str(clock.now),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert await process.stdout.readline() == b"reserved\n"
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    lost = max(0, limit // PARTS - 4)
    again = await open_quotas(principal=PLENTY._replace(calls=limit))
    with pytest.raises(ExceededError):
        await take(again, Usage(calls=limit - 4 - lost + 1))
    (await take(again, Usage(calls=limit - 4 - lost))).commit()
    clock.now += DAY / 2
    (await take(again, Usage(calls=limit))).commit()


async def test_days_gone_by_leave_no_rows(open_quotas, clock, tmp_path):
    quotas = await open_quotas()
    for _ in range(5):
        await take(quotas, Usage(calls=1))
        clock.now += DAY
    assert len(counted(tmp_path)) == 2 * 2


async def test_a_database_that_is_locked_or_broken_allows_nothing_and_says_so(open_quotas, tmp_path, caplog):
    quotas = await open_quotas(principal=PLENTY._replace(calls=10), busy_timeout_seconds=0)
    await take(quotas, Usage(calls=1))
    file = tmp_path / "state" / "gateway.db"
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(GatewayError) as refused:
        await take(quotas, Usage(calls=1))
    assert (refused.value.code, "\n" in refused.value.message) == ("disabled", False)
    other.execute("ROLLBACK")
    await take(quotas, Usage(calls=1))
    other.execute("DROP TABLE quotas")
    with pytest.raises(GatewayError) as refused:
        await take(quotas, Usage(calls=1))
    assert refused.value.code == "disabled" and "OperationalError" in caplog.text
    other.execute("CREATE TABLE quotas (subject, day, calls, writes, bytes, milliseconds)")  # so that it can close
    other.close()


async def test_after_its_end_nothing_is_taken_any_more(open_quotas):
    quotas = await open_quotas()
    await quotas.close()
    with pytest.raises(GatewayError, match="shutting down"):
        await take(quotas, Usage(calls=1))


async def test_the_table_names_nobody(open_quotas, tmp_path):
    quotas = await open_quotas()
    await take(quotas, Usage(calls=1))
    content = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    assert b"ada" not in content and b"acme" not in content
    assert NOTHING not in counted(tmp_path)
