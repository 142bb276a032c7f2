"""What an event costs from its making to its commit, in processor time: 50 us are 20,000 a second on one core."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from kernel_gateway.audit.events import OperationCalled
from kernel_gateway.audit.journal import Journal
from kernel_gateway.audit.seal import Seal
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from tests.bench.measurement import Bar, Row, in_turn
from tests.bench.rig import Rig

EVENTS = 10_000
SUBJECTS = 50
FLUSHED_AT_ONCE = 2_000  # the load of a busy service, which does not let the buffer fill


async def ledger(rig: Rig) -> list[Row]:
    """Beside SQLite alone, writing the same rows as they come out."""
    with tempfile.TemporaryDirectory(prefix="kg-bench-") as name:
        folder = Path(name) / "state"
        database = Database(folder / "gateway.db")
        journal = Journal(database, time.time, Seal.of(Keys(folder)))
        await journal.open()

        async def ours() -> Sequence[float]:
            started = time.process_time()
            for number in range(EVENTS):
                journal.record(_call(number))
                if number % FLUSHED_AT_ONCE == FLUSHED_AT_ONCE - 1:
                    await journal.flush()
            await journal.flush()
            return [_microseconds_each(started)]

        async def theirs() -> Sequence[float]:
            return await asyncio.to_thread(_plain, folder)

        samples = await in_turn(ours, theirs, rounds=rig.rounds(5), warm_up=1, progress=rig.counting("ledger"))
        await journal.close()
        await database.close()
    name = "processor time of an event, made, chained and committed"
    return [Row(name, "us", samples[0], "SQLite alone, the same rows", samples[1], Bar(50.0, "value"))]


def _plain(folder: Path) -> Sequence[float]:
    with closing(sqlite3.connect(folder / "gateway.db")) as source:
        rows = source.execute(f"SELECT * FROM events ORDER BY seq DESC LIMIT {EVENTS}").fetchall()
    with tempfile.TemporaryDirectory(dir=folder) as name, closing(sqlite3.connect(Path(name) / "plain.db")) as plain:
        plain.execute("PRAGMA journal_mode = WAL")
        plain.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, at, kind, session_id, organisation, body, mac)")
        plain.execute("CREATE INDEX events_of_session ON events (session_id, seq)")
        started = time.process_time()
        for start in range(0, len(rows), 512):
            with plain:
                plain.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows[start : start + 512])
        return [_microseconds_each(started)]


def _microseconds_each(started: float) -> float:
    return (time.process_time() - started) / EVENTS * 1e6


def _call(number: int) -> OperationCalled:
    return OperationCalled(
        organisation="acme",
        subject=f"subject-{number % SUBJECTS}",
        client="cli",
        session_id=f"ses_{number % SUBJECTS:032x}",
        cell=number,
        cell_id=f"cell_{number:032x}",
        operation="image_ops:jobs_get",
        effect="read",
        decision="allow",
        rule="scope",
        status="ok",
        http_status=200,
        duration_ms=1.25,
        answer_bytes=1024,
    )
