"""The service's rows in SQLite: uploads, jobs, idempotency records, use, calls. No bytes, no links, no tokens.

Statements run on the event loop's thread: each takes microseconds, and what happens between two awaits needs no lock.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FINAL = frozenset(("succeeded", "failed", "canceled", "expired"))

_SCHEMA = """
create table if not exists uploads (
  id text primary key, organisation text not null, object_id text not null, size_bytes integer not null,
  created_at real not null, expires_at real not null, gone integer not null default 0);
create table if not exists jobs (
  id text primary key, organisation text not null, upload_id text not null, operations text, status text not null,
  created_at real not null, started_at real, finished_at real, expires_at real not null, result text, error text);
create table if not exists idempotency (
  organisation text not null, operation text not null, key text not null, fingerprint text not null,
  created_at real not null, status integer, headers text, body text, primary key (organisation, operation, key));
create table if not exists used (
  organisation text not null, policy text not null, window integer not null, amount integer not null,
  primary key (organisation, policy, window));
create table if not exists calls (
  at real not null, operation text not null, organisation text not null, client text not null, status integer not null,
  replayed integer not null, asker text);
create index if not exists jobs_by_status on jobs (status);
create index if not exists jobs_by_expiry on jobs (expires_at);
create index if not exists uploads_by_expiry on uploads (expires_at);
create index if not exists calls_by_time on calls (at);
"""


@dataclass(frozen=True, slots=True)
class Upload:
    """`gone`: expired or deleted; the row stays a while so that a late caller learns why."""

    id: str
    organisation: str
    object_id: str
    size_bytes: int
    created_at: float
    expires_at: float
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """`operations` is None once the job is final: a watermark's text is the caller's and no longer needed."""

    id: str
    organisation: str
    upload_id: str
    operations: list[dict[str, Any]] | None
    status: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    expires_at: float
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class State:
    """One connection. `secure_delete` overwrites what is deleted, so that free pages hold nothing."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        path.chmod(0o600)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode = wal", "synchronous = normal", "secure_delete = on", "temp_store = memory"):
            self._connection.execute(f"pragma {pragma}")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Never await inside."""
        self._connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    def run(self, statement: str, *values: Any) -> int:
        """Returns how many rows changed."""
        return self._connection.execute(statement, values).rowcount

    def rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        return self._connection.execute(statement, values).fetchall()

    def add_upload(self, upload: Upload) -> None:
        values = (upload.id, upload.organisation, upload.object_id, upload.size_bytes)
        times = (upload.created_at, upload.expires_at, upload.gone)
        self.run("insert into uploads values (?, ?, ?, ?, ?, ?, ?)", *values, *times)

    def upload(self, upload_id: str) -> Upload | None:
        rows = self.rows("select * from uploads where id = ?", upload_id)
        return _upload(rows[0]) if rows else None

    def uploads_to_expire(self, now: float) -> list[Upload]:
        return [_upload(row) for row in self.rows("select * from uploads where expires_at <= ? and gone = 0", now)]

    def add_job(self, job: Job) -> None:
        self.run(
            "insert into jobs (id, organisation, upload_id, operations, status, created_at, expires_at)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            *(job.id, job.organisation, job.upload_id, json.dumps(job.operations)),
            *(job.status, job.created_at, job.expires_at),
        )

    def job(self, job_id: str) -> Job | None:
        rows = self.rows("select * from jobs where id = ?", job_id)
        return _job(rows[0]) if rows else None

    def jobs_in(self, *statuses: str) -> list[Job]:
        marks = ", ".join("?" * len(statuses))
        statement = f"select * from jobs where status in ({marks}) order by created_at"  # noqa: S608 - only question marks
        return [_job(row) for row in self.rows(statement, *statuses)]

    def jobs_to_expire(self, now: float) -> list[Job]:
        statement = "select * from jobs where expires_at <= ? and status not in ('expired', 'canceled')"
        return [_job(row) for row in self.rows(statement, now)]

    def start_job(self, job_id: str, now: float) -> None:
        self.run("update jobs set status = 'processing', started_at = ? where id = ?", now, job_id)

    def finish_job(
        self,
        job_id: str,
        status: str,
        now: float,
        *,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        """The job becomes final and forgets its operations, and whatever result or error is not given here."""
        self.run(
            "update jobs set status = ?, finished_at = coalesce(finished_at, ?), operations = null,"
            " result = ?, error = ? where id = ?",
            *(status, now, json.dumps(result) if result else None, json.dumps(error) if error else None, job_id),
        )

    def truncate_log(self) -> None:
        """Moves the write-ahead log into the database, so that deleted rows do not live on in it."""
        self.rows("pragma wal_checkpoint(truncate)")

    def close(self) -> None:
        self._connection.close()


def _upload(row: sqlite3.Row) -> Upload:
    return Upload(**{**dict(row), "gone": bool(row["gone"])})


def _job(row: sqlite3.Row) -> Job:
    values = dict(row)
    for name in ("operations", "result", "error"):
        values[name] = json.loads(values[name]) if values[name] else None
    return Job(**values)
