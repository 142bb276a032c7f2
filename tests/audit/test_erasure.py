"""A person can be forgotten: nothing on the disk says who they were, and the ledger still proves itself."""

import pytest
from sqlalchemy.exc import OperationalError

from kernel_gateway.audit.events import CellRan
from kernel_gateway.audit.journal import Journal
from kernel_gateway.errors import GatewayError
from kernel_gateway.store.database import Database
from tests.audit.conftest import DAY


def cell(subject, client="cli", organisation="acme"):
    return CellRan(organisation=organisation, subject=subject, client=client, session_id="s1")


async def subjects(journal):
    return [event["subject"] for event in await journal.transcript("s1")]


async def test_nothing_on_the_disk_names_the_person_any_more_and_the_ledger_still_verifies(ledger):
    async with ledger.journal() as journal:
        for _ in range(3):
            journal.record(cell("alice.liddell"))
            journal.record(cell("bob"))
        await journal.flush()
        ledger.now += DAY
        journal.record(cell("alice.liddell", client="alice.liddell"))
        await journal.flush()
    assert b"alice.liddell" in ledger.on_disk()
    assert await ledger.erase("alice.liddell") == 2
    assert b"alice.liddell" not in ledger.on_disk()
    report = await ledger.report()
    assert (report.fault, report.last) == (None, 9), "seven cells and what was done in two segments"
    async with ledger.journal() as journal:
        assert await subjects(journal) == ["<erased>", "bob"] * 3 + ["<erased>"]


async def test_it_is_done_under_a_running_service_which_then_knows_nobody_by_the_old_aliases(ledger):
    async with ledger.journal() as journal:
        journal.record(cell("alice.liddell"))
        await journal.flush()
        assert await ledger.erase("alice.liddell") == 1
        assert b"alice.liddell" not in ledger.on_disk()
        journal.record(cell("alice.liddell"))
        await journal.flush()
        assert await subjects(journal) == ["<erased>", "alice.liddell"], "who comes back is somebody new"
    assert (await ledger.report()).fault is None


async def test_others_and_the_same_name_elsewhere_stay(ledger):
    async with ledger.journal() as journal:
        for event in (cell("alice"), cell("bob"), cell("alice", organisation="rival")):
            journal.record(event)
        await journal.flush()
    assert await ledger.erase("alice", "rival") == 1
    async with ledger.journal() as journal:
        assert await subjects(journal) == ["alice", "bob", "<erased>"]
    assert await ledger.erase("nobody") == 0
    assert (await ledger.report()).fault is None


async def test_the_aliases_of_one_person_on_two_days_have_nothing_in_common(ledger):
    await ledger.write()
    ledger.now += DAY
    await ledger.write()
    aliases = [alias for (alias,) in ledger.sql("SELECT alias FROM event_identities WHERE name = 'alice'")]
    assert len(set(aliases)) == 2


async def test_the_record_of_an_erasure_does_not_tell_which_days_were_one_persons(ledger):
    """Both are erased: without the key, whose alias of the first day was whose of the second is nowhere said."""
    for _ in range(2):
        async with ledger.journal() as journal:
            for subject in ("alice", "bob"):
                journal.record(cell(subject))
            await journal.flush()
        ledger.now += DAY
    aliases = [alias.strip("~") for (alias,) in ledger.sql("SELECT alias FROM event_identities WHERE name <> 'cli'")]
    assert len(aliases) == 4
    for subject in ("alice", "bob"):
        await ledger.erase(subject)
    told = str(ledger.sql("SELECT body FROM events WHERE kind = 'identity_erased'"))
    assert not any(alias in told for alias in aliases)
    assert (await ledger.report()).fault is None


async def test_a_failed_transaction_leaves_no_alias_that_nobody_has(ledger):
    class Interrupted(Database):
        """A real database whose disk is full when a transaction is to be committed."""

        broken = False

        def _transaction(self, work, patience):
            def failing(connection):
                done = work(connection)
                if self.broken:
                    raise OperationalError("COMMIT", {}, Exception("database or disk is full"))
                return done

            return super()._transaction(failing, patience)

    database = Interrupted(ledger.path)
    journal = Journal(database, lambda: ledger.now, ledger.seal)
    await journal.open()
    database.broken = True
    journal.record(cell("alice"))
    with pytest.raises(GatewayError, match="cannot be written"):
        await journal.flush()
    database.broken = False
    await journal.close()
    await database.close()
    report = await ledger.report()
    assert (report.fault, report.last) == (None, 1)
