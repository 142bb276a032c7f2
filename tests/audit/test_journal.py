import asyncio
import json
import re
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from kernel_gateway.audit.checkpointed import Checkpointed
from kernel_gateway.audit.digests import keyed_digest
from kernel_gateway.audit.events import CellRan, OperationCalled, Searched, SessionOpened
from kernel_gateway.audit.journal import Journal
from kernel_gateway.audit.seal import Seal
from kernel_gateway.audit.settings import AuditSettings
from kernel_gateway.errors import GatewayError
from kernel_gateway.store.database import Database

SEAL = Seal(bytes(32), Ed25519PrivateKey.generate())
NEVER_BY_ITSELF = AuditSettings(flush_interval_ms=10_000)


@pytest.fixture
async def database(tmp_path):
    database = Database(tmp_path / "gateway.db")
    yield database
    await database.close()


@pytest.fixture
async def journal(database):
    journal = Journal(database, lambda: 1_795_250_000.5, SEAL, settings=NEVER_BY_ITSELF)
    yield journal
    await journal.close()


class Interrupted(Database):
    """A real database whose disk is full while `broken`, and that counts its transactions."""

    broken = False
    transactions = 0

    def _transaction(self, work, patience):
        self.transactions += 1
        if self.broken:
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        return super()._transaction(work, patience)


@pytest.fixture
async def failing(tmp_path):
    database = Interrupted(tmp_path / "gateway.db")
    yield database
    database.broken = False
    await database.close()


def rows(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(
            "SELECT seq, at, kind, session_id, organisation, body FROM events ORDER BY seq"
        ).fetchall()
    finally:
        connection.close()


async def test_an_event_is_one_row_of_columns_and_canonical_json(journal, tmp_path):
    journal.record(SessionOpened(organisation="acme", subject="alice", client="cli", session_id="s1", reason="execute"))
    await journal.flush()
    ((*columns, body),) = rows(tmp_path / "gateway.db")
    assert columns == [1, 1_795_250_000.5, "session_opened", "s1", "acme"]
    assert re.fullmatch(r'{"client":"~[0-9a-f]{32}","reason":"execute","subject":"~[0-9a-f]{32}"}', body)
    (told,) = await journal.transcript("s1")
    assert (told["subject"], told["client"], told["reason"]) == ("alice", "cli", "execute")


async def test_the_newest_of_a_kind_is_the_sessions_own(journal):
    for session_id, number in (("s1", 1), ("s1", 2), ("s2", 3)):
        journal.record(Checkpointed(session_id=session_id, checkpoint=number, digest="a" * 64, subject="ada"))
    journal.record(CellRan(session_id="s1", cell=9))
    found = await journal.newest("s1", "checkpointed")
    assert (found["checkpoint"], found["digest"], found["subject"], found["seq"]) == (2, "a" * 64, "ada", 2)
    assert await journal.newest("s1", "session_closed") is None
    assert await journal.newest("s3", "checkpointed") is None


async def test_a_transcript_is_the_session_in_order_and_nothing_else(journal):
    for cell in range(1, 4):
        journal.record(OperationCalled(session_id="s1", cell=cell, operation="image_ops:jobs_get", status="ok"))
        journal.record(CellRan(session_id="s2", cell=cell))
        journal.record(CellRan(session_id="s1", cell=cell, at=5.0, outputs=(("image/png", 3, "a" * 64, "b" * 32),)))
    transcript = await journal.transcript("s1")
    assert [(each["kind"], each["cell"]) for each in transcript] == [
        (kind, cell) for cell in (1, 2, 3) for kind in ("operation_called", "cell_ran")
    ]
    assert [each["seq"] for each in transcript] == [1, 3, 4, 6, 7, 9]
    assert transcript[1]["at"] == 5.0
    assert transcript[1]["outputs"] == [["image/png", 3, "a" * 64, "b" * 32]]
    assert json.loads(json.dumps(transcript)) == transcript
    assert await journal.transcript("nobody's") == []


async def test_a_long_transcript_is_read_in_parts(journal):
    for cell in range(10):
        journal.record(CellRan(session_id="s1", cell=cell))
    first = await journal.transcript("s1", limit=6)
    rest = await journal.transcript("s1", after=first[-1]["seq"], limit=6)
    assert [each["cell"] for each in first + rest] == list(range(10))


async def test_flush_writes_everything_recorded_before_it_in_batches(database, tmp_path):
    journal = Journal(
        database, lambda: 1.0, SEAL, settings=AuditSettings(max_batch_events=10, flush_interval_ms=10_000)
    )
    for hits in range(95):
        journal.record(Searched(hits=hits))
    await journal.flush()
    assert [json.loads(row[5])["hits"] for row in rows(tmp_path / "gateway.db")] == list(range(95))
    assert [row[0] for row in rows(tmp_path / "gateway.db")] == list(range(1, 96))
    await journal.close()


async def test_concurrent_flushes_share_their_transactions(failing):
    journal = Journal(failing, lambda: 1.0, SEAL, settings=NEVER_BY_ITSELF)

    async def acknowledged(hits):
        journal.record(Searched(hits=hits))
        await journal.flush()

    await asyncio.gather(*(acknowledged(hits) for hits in range(100)))
    assert failing.transactions <= 2
    await journal.close()


async def test_few_events_are_written_at_once_and_many_on_the_databases_thread(database, tmp_path):
    settings = AuditSettings(flush_interval_ms=10_000, max_events_at_once=3)
    journal = Journal(database, lambda: 1.0, SEAL, settings=settings)
    journal.record(Searched())
    await journal.flush()  # the first makes the table, on the thread
    for events, thread in ((3, threading.current_thread().name), (4, "database_0")):
        names = []
        append = journal._ledger._append
        journal._ledger._append = lambda *args, append=append, names=names: (
            names.append(threading.current_thread().name),
            append(*args),
        )[1]
        for _ in range(events):
            journal.record(Searched())
        await journal.flush()
        assert names == [thread]
    assert [row[0] for row in rows(tmp_path / "gateway.db")] == list(range(1, 9))
    await journal.close()


async def test_a_database_that_another_process_holds_does_not_stop_the_event_loop(database, tmp_path):
    journal = Journal(database, lambda: 1.0, SEAL, settings=NEVER_BY_ITSELF)
    journal.record(Searched(hits=1))
    await journal.flush()
    other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.record(Searched(hits=2))
    flushed = asyncio.create_task(journal.flush())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not flushed.done()
    other.execute("ROLLBACK")
    other.close()
    await flushed
    assert [json.loads(row[5])["hits"] for row in rows(tmp_path / "gateway.db")] == [1, 2]
    await journal.close()


async def test_an_event_nobody_waits_for_is_written_soon_by_itself(database, tmp_path):
    journal = Journal(database, lambda: 1.0, SEAL, settings=AuditSettings(flush_interval_ms=1))
    journal.record(Searched())
    async with asyncio.timeout(20):
        while repr(journal) != "<Journal 1 committed, 0 buffered>":
            await asyncio.sleep(0)
    assert len(rows(tmp_path / "gateway.db")) == 1
    await journal.close()


async def test_an_event_that_joins_a_transaction_leaves_nothing_to_write_behind(database, caplog):
    journal = Journal(database, lambda: 1.0, SEAL, settings=AuditSettings(flush_interval_ms=200))
    journal.record(Searched())

    async def record():
        journal.record(Searched())

    await asyncio.gather(journal.flush(), record())
    async with asyncio.timeout(20):
        while journal._timer is not None or not journal._writer.done():
            await asyncio.sleep(0)
    assert repr(journal) == "<Journal 2 committed, 0 buffered>"
    assert not caplog.records
    await journal.close()


async def test_a_full_batch_is_written_without_waiting_for_the_interval(database):
    journal = Journal(database, lambda: 1.0, SEAL, settings=AuditSettings(max_batch_events=3, flush_interval_ms=10_000))
    for _ in range(3):
        journal.record(Searched())
    async with asyncio.timeout(20):
        while repr(journal) != "<Journal 3 committed, 0 buffered>":
            await asyncio.sleep(0)
    await journal.close()


async def test_flush_fails_while_the_database_cannot_be_written_and_nothing_is_lost(failing, tmp_path):
    journal = Journal(failing, lambda: 1.0, SEAL, settings=NEVER_BY_ITSELF)
    failing.broken = True
    journal.record(Searched(hits=1))
    with pytest.raises(GatewayError) as refused:
        await journal.flush()
    assert refused.value.code == "internal"
    journal.record(Searched(hits=2))
    failing.broken = False
    await journal.flush()
    assert [json.loads(row[5])["hits"] for row in rows(tmp_path / "gateway.db")] == [1, 2]
    await journal.close()


async def test_recording_is_refused_once_the_buffer_is_full(failing):
    journal = Journal(
        failing, lambda: 1.0, SEAL, settings=AuditSettings(max_buffered_events=3, flush_interval_ms=10_000)
    )
    failing.broken = True
    for _ in range(3):
        journal.record(Searched())
    with pytest.raises(GatewayError, match="cannot be written"):
        journal.record(Searched())
    failing.broken = False
    await journal.flush()
    journal.record(Searched())
    await journal.close()


async def test_a_caller_that_gives_up_does_not_stop_the_others_transaction(journal, database):
    started, go_on = threading.Event(), threading.Event()
    held = asyncio.ensure_future(database.run(lambda _: (started.set(), go_on.wait(10))))
    await asyncio.to_thread(started.wait, 10)
    journal.record(Searched(session_id="s1"))
    impatient, patient = asyncio.ensure_future(journal.flush()), asyncio.ensure_future(journal.flush())
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    go_on.set()
    await held
    await patient
    assert len(await journal.transcript("s1")) == 1


async def test_closing_writes_what_is_left_and_refuses_more(database, tmp_path):
    journal = Journal(database, lambda: 1.0, SEAL, settings=NEVER_BY_ITSELF)
    journal.record(Searched())
    await journal.close()
    assert len(rows(tmp_path / "gateway.db")) == 1
    with pytest.raises(GatewayError, match="closed"):
        journal.record(Searched())


async def test_numbering_goes_on_after_a_restart(tmp_path):
    for _ in range(2):
        database = Database(tmp_path / "gateway.db")
        journal = Journal(database, lambda: 1.0, SEAL)
        journal.record(Searched())
        await journal.close()
        await database.close()
    assert [row[0] for row in rows(tmp_path / "gateway.db")] == [1, 2]


def test_every_acknowledged_event_survives_the_death_of_the_process(tmp_path):
    script = """
import asyncio, os, signal, sys, time
from pathlib import Path
from kernel_gateway.audit.events import Searched
from kernel_gateway.audit.journal import Journal
from kernel_gateway.audit.seal import Seal
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys

async def main():
    path = Path(sys.argv[1])
    journal = Journal(Database(path), time.time, Seal.of(Keys(path.parent)))
    async def acknowledged(hits):
        journal.record(Searched(hits=hits))
        await journal.flush()
        os.write(1, b"%d\\n" % hits)
        if hits == 300:
            os.kill(os.getpid(), signal.SIGKILL)
    async with asyncio.TaskGroup() as group:
        for hits in range(10_000):
            group.create_task(acknowledged(hits))
            await asyncio.sleep(0)

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "gateway.db")], stdout=subprocess.PIPE, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    acknowledged = {int(line) for line in ended.stdout.split()}
    recorded = [json.loads(row[5])["hits"] for row in rows(tmp_path / "gateway.db")]
    assert 300 in acknowledged
    assert acknowledged <= set(recorded)
    assert recorded == sorted(set(recorded))


@pytest.mark.parametrize(
    ("name", "below", "lowest", "highest", "above"),
    [
        ("flush_interval_ms", 0, 0.001, 10_000, 10_001),
        ("max_batch_events", 0, 1, 10_000, 10_001),
        ("max_buffered_events", 0, 1, 1_000_000, 1_000_001),
        ("max_events_at_once", -1, 0, 512, 513),
        ("retention_days", 1.9, 2, 3650, 3651),
        ("checkpoint_events", 0, 1, 1_000_000, 1_000_001),
        ("checkpoint_seconds", 0.9, 1, 86_400, 86_401),
    ],
)
def test_settings_are_bounded(name, below, lowest, highest, above):
    for value in (below, above):
        with pytest.raises(ValidationError):
            AuditSettings(**{name: value})
    for value in (lowest, highest):
        assert getattr(AuditSettings(**{name: value}), name) == value


def test_a_digest_depends_on_the_key_the_organisation_and_the_data():
    digests = {
        keyed_digest(key, organisation, data)
        for key in (b"a", b"b")
        for organisation in ("x", "y")
        for data in (b"1", b"2")
    }
    assert len(digests) == 8
    assert all(len(digest) == 64 for digest in digests)


async def test_what_goes_with_an_event_is_committed_with_it_or_not_at_all(journal, database):
    table = "CREATE TABLE IF NOT EXISTS beside (word TEXT)"
    await database.run(lambda connection: connection.exec_driver_sql(table))
    tries = []

    def beside(connection):
        tries.append(1)
        connection.exec_driver_sql("INSERT INTO beside VALUES ('here')")
        if len(tries) == 1:
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    journal.record(Searched(session_id="s1"), beside)
    with pytest.raises(GatewayError):
        await journal.flush()
    await journal.flush()
    assert await database.run(lambda c: c.exec_driver_sql("SELECT count(*) FROM beside").scalar()) == 1
    assert len(await journal.transcript("s1")) == 1
    assert len(tries) == 2
