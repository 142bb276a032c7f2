"""No record outlives its time on the disk, and what remains still proves itself."""

import pytest

from kernel_gateway.audit.checkpointed import Checkpointed
from kernel_gateway.audit.due import LOOKED_AT_AT_ONCE, OTHER_SEGMENTS
from kernel_gateway.audit.events import CellRan, Searched
from kernel_gateway.audit.journal import MAINTENANCE_SECONDS
from kernel_gateway.audit.ledger import SWEPT_AT_ONCE, Ledger
from kernel_gateway.audit.segments import SEGMENT_SECONDS
from kernel_gateway.audit.settings import AuditSettings
from kernel_gateway.audit.walk import CLOSING_IS_MISSING
from kernel_gateway.store.database import Database
from tests.audit.conftest import DAY

RETENTION = 29 * DAY


async def days(ledger, count):
    """Four records a day, each day of another session."""
    for number in range(count):
        async with ledger.journal() as journal:
            for _ in range(4):
                journal.record(CellRan(organisation="acme", subject="alice", session_id=f"day-{number}"))
                await journal.flush()
                ledger.now += DAY / 4


def oldest(ledger):
    return ledger.sql("SELECT min(at) FROM events")[0][0]


async def test_no_record_is_ever_older_than_its_time(ledger):
    """After each look, none would be too old before the next one."""
    await days(ledger, 28)
    async with ledger.journal() as journal:
        for _ in range(40):
            await journal.maintain()
            assert ledger.now + MAINTENANCE_SECONDS - oldest(ledger) <= RETENTION
            ledger.now += DAY / 8
            journal.record(Searched())
            await journal.flush()
    assert (await ledger.report()).fault is None


async def test_a_segment_spans_a_day_and_goes_whole_when_its_first_record_reaches_the_limit(ledger):
    start = ledger.now
    await days(ledger, 3)
    assert [at for (at,) in ledger.sql("SELECT oldest_at FROM event_segments ORDER BY first_seq")] == [
        start,
        start + SEGMENT_SECONDS,
        start + 2 * SEGMENT_SECONDS,
    ]
    ledger.now = start + RETENTION - MAINTENANCE_SECONDS - 1
    async with ledger.journal() as journal:
        assert oldest(ledger) == start
        ledger.now += 1
        await journal.maintain()
        assert oldest(ledger) == start + SEGMENT_SECONDS


async def test_what_is_over_time_goes_at_the_start_and_leaves_nothing_on_the_disk(ledger):
    await days(ledger, 2)
    assert b"day-0" in ledger.on_disk() and b"alice" in ledger.on_disk()
    ledger.now += RETENTION
    async with ledger.journal():
        assert b"day-" not in ledger.on_disk()
        assert b"alice" not in ledger.on_disk()
    assert [kind for (kind,) in ledger.sql("SELECT kind FROM events")] == ["ledger_pruned"]


async def test_it_goes_while_the_service_runs_and_writes(ledger):
    await days(ledger, 2)
    async with ledger.journal() as journal:
        ledger.now += RETENTION - DAY
        journal.record(CellRan(organisation="acme", subject="bob", session_id="today"))
        await journal.flush()
        await journal.maintain()
        content = ledger.on_disk()
        assert b"day-0" not in content and b"day-1" not in content and b"alice" not in content
        assert [event["subject"] for event in await journal.transcript("today")] == ["bob"]


async def test_the_chain_verifies_across_what_was_pruned(ledger):
    await days(ledger, 4)
    whole = await ledger.report()
    closing = ledger.sql("SELECT seq FROM event_heads WHERE closing ORDER BY seq")
    ledger.now += RETENTION - 2 * DAY - DAY / 8
    await ledger.write()
    report = await ledger.report()
    assert (whole.fault, report.fault) == (None, None)
    assert (whole.first, report.first) == (1, 9)
    kept = ledger.sql("SELECT seq FROM event_heads WHERE closing ORDER BY seq")
    assert kept[:3] == closing == [(4,), (8,), (12,)], "the heads of what is gone stay"
    assert ledger.sql("SELECT count(*) FROM event_heads WHERE seq < 8 AND NOT closing") == [(0,)]


async def test_the_head_before_what_remains_cannot_be_removed(ledger):
    await days(ledger, 3)
    ledger.now += RETENTION - 2 * DAY
    await ledger.write()
    first = (await ledger.report()).first
    ledger.sql(f"DELETE FROM event_heads WHERE seq = {first - 1}")
    fault = (await ledger.report()).fault
    assert (fault.seq, fault.what) == (first, "the signed head that closes what was before it is missing")


async def test_more_than_was_pruned_cannot_be_removed(ledger):
    await days(ledger, 4)
    ledger.now += RETENTION - 3 * DAY
    await ledger.write()
    first = (await ledger.report()).first
    second = ledger.sql("SELECT first_seq FROM event_segments ORDER BY first_seq LIMIT 1 OFFSET 1")[0][0]
    ledger.sql(f"DELETE FROM events WHERE seq < {second}", f"DELETE FROM event_segments WHERE first_seq < {second}")
    fault = (await ledger.report()).fault
    assert (fault.seq, fault.what) == (first, f"it and those up to {second - 1} were removed before their time")


ALL_DUE = ("UPDATE event_segments SET oldest_at = 0",)
OLD_ONES_DUE = (
    "UPDATE event_segments SET oldest_at = 0 WHERE first_seq < (SELECT max(first_seq) FROM event_segments)",
)
ONE_SEGMENT = ("DELETE FROM event_segments WHERE first_seq > 1",)
TIMES_OF_RECORDS = (*OLD_ONES_DUE, "UPDATE events SET at = 0 WHERE seq = 1")
A_LATER_FIRST_SEGMENT = ("UPDATE event_segments SET first_seq = 3 WHERE first_seq = 1", *ALL_DUE)
MISSING = (*OLD_ONES_DUE, "DELETE FROM events WHERE seq = 3")


@pytest.mark.parametrize("statements", [ALL_DUE, OLD_ONES_DUE, TIMES_OF_RECORDS, A_LATER_FIRST_SEGMENT, MISSING])
async def test_nobody_without_the_key_has_records_deleted_before_their_time(ledger, statements):
    await days(ledger, 3)
    ledger.sql(*statements)
    left = ledger.sql("SELECT count(*) FROM events WHERE kind = 'cell_ran'")
    async with ledger.journal() as journal:
        assert "was not deleted" in journal.fault
        journal.record(Searched())
        await journal.flush()
        await journal.maintain()
    assert ledger.sql("SELECT count(*) FROM events WHERE kind = 'cell_ran'") == left
    assert ledger.sql("SELECT count(*) FROM events WHERE kind = 'ledger_pruned'") == [(0,)]
    assert (await ledger.report()).fault is not None


async def test_days_that_were_joined_do_not_go_when_the_first_of_them_is_due(ledger):
    await days(ledger, 20)
    ledger.sql(*ONE_SEGMENT)
    fault = (await ledger.report()).fault
    assert (fault.seq, fault.what) == (5, OTHER_SEGMENTS)
    ledger.now += RETENTION - 20 * DAY
    async with ledger.journal() as journal:
        assert journal.fault == f"record 5 of the ledger is due, and was not deleted: {OTHER_SEGMENTS}"
    assert ledger.sql("SELECT count(*) FROM events") == [(80,)]


async def test_a_missing_head_between_two_days_is_named_while_both_are_there(ledger):
    await days(ledger, 3)
    ledger.sql("DELETE FROM event_heads WHERE seq = 4")
    fault = (await ledger.report()).fault
    assert (fault.seq, fault.what) == (5, CLOSING_IS_MISSING)


async def test_what_is_due_is_looked_at_in_several_transactions(ledger):
    async with ledger.journal() as journal:
        for number in range(LOOKED_AT_AT_ONCE + 2):
            journal.record(CellRan(cell=number))
        await journal.flush()
        changed = LOOKED_AT_AT_ONCE + 1
        ledger.sql(f"UPDATE events SET at = at + 1 WHERE seq = {changed}")
        ledger.now += RETENTION
        await journal.maintain()
        assert journal.fault.startswith(f"record {changed} of the ledger is due, and was not deleted: ")
        assert ledger.sql("SELECT count(*) FROM events") == [(LOOKED_AT_AT_ONCE + 2,)]


@pytest.mark.parametrize("kept_days", [0, 1])
async def test_what_another_process_prunes_meanwhile_is_no_fault(ledger, kept_days):
    await days(ledger, 3)
    ledger.now += RETENTION - kept_days * DAY
    database, slow = Database(ledger.path), Ledger(ledger.seal, AuditSettings())
    due = await database.run(lambda connection: slow.due(connection, ledger.now - RETENTION + MAINTENANCE_SECONDS))
    async with ledger.journal():
        while not due.is_looked_at:
            await database.run(due.look)
        assert due.fault is not None
        await database.run(lambda connection: slow.prune(connection, due, ledger.now))
    await database.close()
    assert slow.fault == ""
    assert ledger.sql("SELECT count(*) FROM events WHERE kind = 'ledger_pruned'") == [(1,)]
    assert (await ledger.report()).fault is None


async def test_the_newest_of_a_kind_that_was_pruned_is_not_told(ledger):
    async with ledger.journal() as journal:
        journal.record(Checkpointed(session_id="s1", checkpoint=1))
        assert (await journal.newest("s1", "checkpointed"))["checkpoint"] == 1
        ledger.now += RETENTION
        await journal.maintain()
        assert await journal.newest("s1", "checkpointed") is None


async def test_a_head_of_records_that_were_pruned_since_says_nothing_of_the_newest(ledger):
    await days(ledger, 1)
    head = ledger.head()
    await days(ledger, 2)
    assert (await ledger.report(head)).truncation_checked
    ledger.now += RETENTION - DAY
    await ledger.write()
    report = await ledger.report(head)
    assert (report.fault, report.truncation_checked) == (None, False)
    assert (await ledger.report(head, ledger.head())).truncation_checked


async def test_it_verifies_in_the_middle_of_pruning(ledger):
    """The first transaction of a pruning ends the segments, the next ones delete their records, some at a time."""
    await days(ledger, 2)
    ledger.now += RETENTION - DAY
    async with ledger.journal() as journal:
        assert not ledger.sql("SELECT 1 FROM events WHERE session_id = 'day-0'")
        first = (await ledger.report()).first
        ledger.sql(
            "INSERT INTO events SELECT seq - 1, at, kind, 'left over', organisation, body, mac FROM events"
            f" WHERE seq = {first}"
        )
        assert (await ledger.report()).fault is None
        await journal.maintain()
        assert not ledger.sql("SELECT 1 FROM events WHERE session_id = 'left over'")


async def test_much_is_deleted_in_several_transactions(ledger):
    async with ledger.journal() as journal:
        for number in range(SWEPT_AT_ONCE + 1):
            journal.record(CellRan(cell=number))
        await journal.flush()
        ledger.now += RETENTION
        await journal.maintain()
        assert ledger.sql("SELECT count(*) FROM events") == [(1,)]
    assert (await ledger.report()).fault is None


async def test_what_is_recorded_late_takes_its_segment_with_it_in_time(ledger):
    """A call that began before the segment did is as old as when it began."""
    await ledger.write()
    async with ledger.journal() as journal:
        journal.record(CellRan(session_id="late", at=ledger.now - 600))
        await journal.flush()
        ledger.now += RETENTION - 600 - MAINTENANCE_SECONDS
        await journal.maintain()
        assert not ledger.sql("SELECT 1 FROM events WHERE session_id = 'late'")
    assert (await ledger.report()).fault is None


@pytest.mark.parametrize("hop", [-400 * DAY, 400 * DAY])
async def test_a_clock_that_was_wrong_for_a_moment_takes_no_other_days_records(ledger, hop):
    await days(ledger, 3)
    ledger.now += hop
    async with ledger.journal(retention_days=3000) as journal:
        journal.record(Searched())
        await journal.flush()
    ledger.now -= hop
    await days(ledger, 2)
    assert ledger.sql("SELECT count(*) FROM events WHERE kind = 'cell_ran'") == [(20,)]
    assert (await ledger.report()).fault is None
    ledger.now += RETENTION
    async with ledger.journal():
        assert ledger.sql("SELECT count(*) FROM events WHERE kind = 'cell_ran'") == [(0,)]


async def test_the_time_is_a_setting(ledger):
    await days(ledger, 3)
    async with ledger.journal(retention_days=2):
        assert oldest(ledger) > ledger.now - 2 * DAY
