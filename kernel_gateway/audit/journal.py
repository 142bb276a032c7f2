"""Writes events down, in order, append only, many in one transaction.

`record` keeps an event in memory; `flush` returns once everything recorded before it is committed: a few rows at once,
more of them, and whatever would have to wait, on the database's own thread. Whoever answers for
something that happened flushes first, so nothing is acknowledged without its event. Fails closed: while the database
cannot be written, `flush` raises; what was recorded is kept and tried again; once the buffer is full, `record` raises.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Float, Index, MetaData, String, Table, Text, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from kernel_gateway.audit.events import Event
from kernel_gateway.audit.settings import AuditSettings
from kernel_gateway.errors import GatewayError
from kernel_gateway.store.database import Database, NotNowError

log = logging.getLogger(__name__)

_metadata = MetaData()
_events = Table(
    "events",
    _metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 ... without a gap
    Column("at", Float(53), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("session_id", String(64), nullable=False),
    Column("organisation", String(128), nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON, stored as it was made
    Index("events_of_session", "session_id", "seq"),
)
# Each row is numbered as it is written, after the one before it: the transaction holds the write lock.
_append = insert(_events).values(seq=select(func.coalesce(func.max(_events.c.seq), 0) + 1).scalar_subquery())


class Journal:
    """One writer per database. Must be used on one event loop."""

    def __init__(self, database: Database, clock: Callable[[], float], settings: AuditSettings | None = None) -> None:
        self._database, self._clock = database, clock
        self._settings = settings or AuditSettings()
        self._buffer: deque[tuple[float, Event]] = deque()
        self._recorded = self._committed = 0
        self._writer: asyncio.Task[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_table = self._closed = self._failed = False

    def __repr__(self) -> str:
        return f"<Journal {self._committed} committed, {len(self._buffer)} buffered{' closed' if self._closed else ''}>"

    @property
    def is_failing(self) -> bool:
        """Whether the last transaction could not be committed, so that nothing that happens can be acknowledged."""
        return self._failed

    def record(self, event: Event) -> None:
        """Raises GatewayError("internal") where the event could not be kept."""
        if self._closed:
            raise GatewayError("internal", "the journal is closed; nothing can be done any more")
        if len(self._buffer) >= self._settings.max_buffered_events:
            raise GatewayError("internal", "the journal cannot be written; the operator must look at the database")
        self._buffer.append((self._clock() if event.at is None else event.at, event))
        self._recorded += 1
        if len(self._buffer) >= self._settings.max_batch_events:
            self._write()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._settings.flush_interval_ms / 1000, self._on_timer)

    async def flush(self) -> None:
        """Raises GatewayError("internal") where the events recorded so far could not be committed."""
        target = self._recorded
        while self._committed < target and not self._write_at_once():
            # shielded: a caller that gives up must not take everybody's transaction with it
            if not await asyncio.shield(self._write()):
                raise GatewayError("internal", "the journal cannot be written; the operator must look at the database")

    async def transcript(self, session_id: str, *, after: int = 0, limit: int = 10_000) -> list[dict[str, Any]]:
        """The session's events in order, from the one after `seq` `after`: at most `limit`, so ask again from the last.

        Each is {"seq", "at", "kind", "session_id", "organisation", ...the event's own fields}.
        """
        await self.flush()
        statement = (
            select(_events)
            .where(_events.c.session_id == session_id, _events.c.seq > after)
            .order_by(_events.c.seq)
            .limit(limit)
        )

        def read(connection: Connection) -> list[dict[str, Any]]:
            self._create(connection)
            rows = connection.execute(statement).mappings().all()
            return [{name: row[name] for name in row if name != "body"} | json.loads(row["body"]) for row in rows]

        return await self._database.run(read)

    async def close(self) -> None:
        """Commits what is left; the database stays open. Raises as `flush` does."""
        self._closed = True
        self._stop_timer()
        await self.flush()

    def _on_timer(self) -> None:
        self._timer = None
        if self._buffer and not self._write_at_once():
            self._write()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write_at_once(self) -> bool:
        """Everything that is buffered, where it is little and the database is free. False: nothing was written."""
        writing = self._writer is not None and not self._writer.done()
        if writing or not self._has_table or len(self._buffer) > self._settings.max_events_at_once:
            return False
        batch = list(self._buffer)
        try:
            self._database.at_once(lambda connection: self._insert(connection, batch))
        except NotNowError:
            return False
        self._stop_timer()
        self._committed_batch(batch)
        return True

    def _write(self) -> asyncio.Task[bool]:
        """The transaction under way, or a new one. One at a time: what comes in meanwhile shares the next."""
        if self._writer is None or self._writer.done():
            self._stop_timer()
            self._writer = asyncio.get_running_loop().create_task(self._write_batch(), name="journal")
            self._writer.add_done_callback(self._after_batch)
        return self._writer

    def _after_batch(self, writer: asyncio.Task[bool]) -> None:
        """More to do, or the same again after a failure: by the timer, so that a broken disk is not hammered."""
        if self._buffer and not self._closed and self._timer is None:
            failed = writer.cancelled() or not writer.result()
            delay = 1.0 if failed else self._settings.flush_interval_ms / 1000
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    async def _write_batch(self) -> bool:
        batch = list(islice(self._buffer, self._settings.max_batch_events))
        try:
            await self._database.run(lambda connection: self._insert(connection, batch))
        except (SQLAlchemyError, OSError, RuntimeError) as error:
            self._failed = True
            log.error("the journal cannot be written: %s", type(error).__name__)
            return False
        self._committed_batch(batch)
        return True

    def _committed_batch(self, batch: list[tuple[float, Event]]) -> None:
        for _ in batch:
            self._buffer.popleft()
        self._committed += len(batch)
        self._failed = False

    def _insert(self, connection: Connection, batch: list[tuple[float, Event]]) -> None:
        self._create(connection)
        rows = [
            {
                "at": at,
                "kind": event.kind,
                "session_id": event.session_id,
                "organisation": event.organisation,
                "body": event.body(),
            }
            for at, event in batch
        ]
        connection.execute(_append, rows)

    def _create(self, connection: Connection) -> None:
        if not self._has_table:
            _metadata.create_all(connection)
            self._has_table = True
