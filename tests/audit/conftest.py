"""A ledger in the test's folder, written by a real journal at a time of the test's choosing."""

import sqlite3
import subprocess
from contextlib import asynccontextmanager, closing

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel_gateway.audit import heads
from kernel_gateway.audit.chain import Link
from kernel_gateway.audit.events import CellRan
from kernel_gateway.audit.journal import Journal
from kernel_gateway.audit.ledger import Ledger
from kernel_gateway.audit.seal import Seal
from kernel_gateway.audit.settings import AuditSettings
from kernel_gateway.audit.verify import verify
from kernel_gateway.store.database import Database

NOON = 1_795_262_400.0  # 2026-11-21
DAY = 86_400.0


def bytes_on_disk(folder):
    """Of the database and its logs. Read by another process: who closes a file here loses SQLite's locks on it."""
    files = sorted(folder.glob("gateway.db*"))
    return subprocess.run(["cat", *files], capture_output=True, check=True).stdout


class LedgerOnDisk:
    """`now` is what the journal's clock says."""

    def __init__(self, folder):
        self.path = folder / "gateway.db"
        self.seal = Seal(bytes(range(32)), Ed25519PrivateKey.generate())
        self.now = NOON

    @asynccontextmanager
    async def journal(self, **settings):
        database = Database(self.path)
        journal = Journal(
            database, lambda: self.now, self.seal, AuditSettings(**{"flush_interval_ms": 10_000, **settings})
        )
        try:
            await journal.open()
            yield journal
            await journal.close()
        finally:
            await database.close()

    async def write(self, count=1, **settings):
        """So many cells of alice, at `now`."""
        async with self.journal(**settings) as journal:
            for number in range(count):
                journal.record(
                    CellRan(organisation="acme", subject="alice", client="cli", session_id="s1", cell=number)
                )
                await journal.flush()

    def sql(self, *statements):
        """What somebody does who can write the file but has no key. Returns the last one's rows."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return [connection.execute(statement).fetchall() for statement in statements][-1]

    async def report(self, *exported, seal=None):
        database = Database(self.path, read_only=True)
        try:
            return await database.run(lambda connection: verify(connection, seal or self.seal, exported))
        finally:
            await database.close()

    def head(self):
        """As it would be exported now."""
        return heads.sign(self.seal.signing, Link(*self.sql("SELECT seq, mac FROM events ORDER BY seq")[-1]), self.now)

    async def erase(self, name, organisation="acme"):
        """As another process would."""
        database = Database(self.path)
        ledger = Ledger(self.seal, AuditSettings())
        try:
            _, count = await database.run(lambda connection: ledger.erase(connection, organisation, name, self.now))
            assert await database.forget(patient=True)
        finally:
            await database.close()
        return count

    def on_disk(self):
        return bytes_on_disk(self.path.parent)


@pytest.fixture
def ledger(tmp_path):
    return LedgerOnDisk(tmp_path / "state")
