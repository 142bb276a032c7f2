"""Writes events down, in order, append only, many in one transaction.

`record` keeps an event in memory; `flush` returns once everything recorded before it is committed: a few rows at once,
more of them, and whatever would have to wait, on the database's own thread. Whoever answers for something that happened
flushes first, so nothing is acknowledged without its event. Fails closed: while the database cannot be written, `flush`
raises; what was recorded is kept and tried again; once the buffer is full, `record` raises. ledger.py says what is
written.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.exc import SQLAlchemyError

from kernel_gateway.audit.appending import Tail
from kernel_gateway.audit.events import Event
from kernel_gateway.audit.heads_file import HeadsFile
from kernel_gateway.audit.identities import ERASED, MARK, aliases_in, names_of
from kernel_gateway.audit.ledger import DAY, Ledger
from kernel_gateway.audit.seal import Seal
from kernel_gateway.audit.settings import AuditSettings
from kernel_gateway.audit.tables import events, segments
from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.store.database import Database, NotNowError
from kernel_gateway.store.vault import Write

T = TypeVar("T")
Batch = Sequence[tuple[float, Event, Write | None]]

log = logging.getLogger(__name__)

MAINTENANCE_SECONDS = 600.0  # what falls due before the next look goes with this one: nothing is ever late
_FAILURES = (SQLAlchemyError, OSError, RuntimeError)
_TAMPERED = (TypeError, ValueError)  # somebody else wrote into the tables


class Journal:
    """Several processes may write into one database, each with one Journal, which belongs to one event loop."""

    def __init__(
        self, database: Database, clock: Callable[[], float], seal: Seal, settings: AuditSettings | None = None
    ) -> None:
        self._database, self._clock = database, clock
        self._settings = settings or AuditSettings()
        self._ledger = Ledger(seal, self._settings)
        file = self._settings.heads_file
        self._heads_file = None if file is None else HeadsFile(file, seal.signing.public_key())
        self._buffer: deque[tuple[float, Event, Write | None]] = deque()
        self._listeners: list[Callable[[Event], None]] = []
        self._recorded = self._committed = 0
        self._writer: asyncio.Task[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._is_prepared = self._closed = self._failed = self._is_to_forget = False

    def __repr__(self) -> str:
        return f"<Journal {self._committed} committed, {len(self._buffer)} buffered{' closed' if self._closed else ''}>"

    @property
    def is_failing(self) -> bool:
        """Whether the last transaction could not be committed, so that nothing that happens can be acknowledged."""
        return self._failed

    @property
    def fault(self) -> str:
        """What is wrong with the records, seen at the start or since, or with the file of heads; empty: nothing is."""
        return self._ledger.fault or (self._heads_file.fault if self._heads_file else "")

    async def open(self) -> None:
        """Looks at the newest records, prunes, and goes on doing so. Raises ConfigError where the database fails."""
        try:
            await self.maintain()
        except (*_FAILURES, *_TAMPERED) as error:
            raise ConfigError(
                f"the journal cannot be written ({type(error).__name__}): look at `store.folder`"
            ) from None
        if self._ledger.fault:
            log.error("%s; run `kernel-gateway audit verify`", self.fault)
        self._upkeep = asyncio.get_running_loop().create_task(self._maintain_regularly(), name="journal upkeep")

    async def maintain(self) -> None:
        """Deletes what reaches the end of its time before the next look, and signs a head where one is due."""
        now = self._clock()
        before = now + MAINTENANCE_SECONDS - self._settings.retention_days * DAY
        if (due := await self._run(lambda connection: self._ledger.due(connection, before))) is not None:
            while not due.is_looked_at:
                await self._run(due.look)
            await self._change(lambda connection: self._ledger.prune(connection, due, now))
            if due.fault is not None:
                log.error("%s", self._ledger.fault)
        while await self._run(self._ledger.sweep):
            self._is_to_forget = True
        await self._change(lambda connection: self._ledger.sign(connection, now))
        if self._is_to_forget:
            self._is_to_forget = not await self._database.forget()

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """`listener` is called with each event that is kept, before it is committed; it must be quick and not raise."""
        self._listeners.append(listener)

    def record(self, event: Event, beside: Write | None = None) -> None:
        """`beside` is committed with the event or not at all; it is called again where that failed, and must not fail
        by itself. Raises GatewayError("internal") where the event could not be kept."""
        if self._closed:
            raise GatewayError("internal", "the journal is closed; nothing can be done any more")
        if len(self._buffer) >= self._settings.max_buffered_events:
            raise GatewayError("internal", "the journal cannot be written; the operator must look at the database")
        self._buffer.append((self._clock() if event.at is None else event.at, event, beside))
        self._recorded += 1
        for listener in self._listeners:
            listener(event)
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

        Each is {"seq", "at", "kind", "session_id", "organisation", ...the event's own fields}; who was erased is
        "<erased>". What lies before the first segment is no part of the ledger any more.
        """
        await self.flush()
        statement = (
            select(events)
            .where(events.c.session_id == session_id, events.c.seq >= after + 1, events.c.seq >= _FIRST_KEPT)
            .order_by(events.c.seq)
            .limit(limit)
        )

        return await self._run(lambda connection: _shown(connection, statement))

    async def newest(self, session_id: str, kind: str) -> dict[str, Any] | None:
        """The session's last event of this kind, as `transcript` shows it. None also where it was pruned."""
        await self.flush()
        statement = (
            select(events)
            .where(events.c.session_id == session_id, events.c.kind == kind, events.c.seq >= _FIRST_KEPT)
            .order_by(events.c.seq.desc())
            .limit(1)
        )
        found = await self._run(lambda connection: _shown(connection, statement))
        return found[0] if found else None

    async def close(self) -> None:
        """Commits what is left; the database stays open. Raises as `flush` does."""
        self._closed = True
        self._stop_timer()
        if self._upkeep is not None:
            self._upkeep.cancel()
        await self.flush()
        if self._is_prepared:
            now = self._clock()
            await self._change(lambda connection: self._ledger.sign(connection, now, at_once=True))

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
        if writing or not self._is_prepared or len(self._buffer) > self._settings.max_events_at_once:
            return False
        batch = list(self._buffer)
        try:
            tail = self._database.at_once(_beside(self._ledger.append_at_once, batch))
        except NotNowError:
            return False
        self._stop_timer()
        self._committed_batch(batch, tail)
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
            tail = await self._run(_beside(self._ledger.append, batch))
        except _FAILURES as error:
            self._failed = True
            log.error("the journal cannot be written: %s", type(error).__name__)
            return False
        self._committed_batch(batch, tail)
        return True

    def _committed_batch(self, batch: Batch, tail: Tail) -> None:
        self._ends(tail)
        for _ in batch:
            self._buffer.popleft()
        self._committed += len(batch)
        self._failed = False

    async def _change(self, work: Callable[[Connection], Tail]) -> None:
        self._ends(await self._run(work))

    def _ends(self, tail: Tail) -> None:
        self._ledger.committed(tail)
        if self._heads_file is not None:
            self._heads_file.add(tail.head)

    async def _run(self, work: Callable[[Connection], T]) -> T:
        is_prepared = self._is_prepared

        def prepared(connection: Connection) -> T:
            if not is_prepared:
                self._ledger.prepare(connection)
            return work(connection)

        done = await self._database.run(prepared)
        self._is_prepared = True
        return done

    async def _maintain_regularly(self) -> None:
        while True:
            await asyncio.sleep(MAINTENANCE_SECONDS)
            try:
                await self.maintain()
            except (*_FAILURES, *_TAMPERED) as error:
                log.error("the journal cannot be pruned: %s", type(error).__name__)


_FIRST_KEPT = select(func.min(segments.c.first_seq)).scalar_subquery()


def _beside(
    append: Callable[[Connection, Sequence[tuple[float, Event]]], Tail], batch: Batch
) -> Callable[[Connection], Tail]:
    """Appends the events of `batch`, and does what goes with them."""

    def work(connection: Connection) -> Tail:
        tail = append(connection, [(at, event) for at, event, _ in batch])
        for _, _, beside in batch:
            if beside is not None:
                beside(connection)
        return tail

    return work


_SHOWN = ("seq", "at", "kind", "session_id", "organisation")


def _shown(connection: Connection, statement: Select[Any]) -> list[dict[str, Any]]:
    rows = connection.execute(statement).mappings().all()
    names = names_of(connection, (alias for row in rows for alias in aliases_in(row["body"])))
    return [{name: row[name] for name in _SHOWN} | _named(json.loads(row["body"]), names) for row in rows]


def _named(values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {
        name: names.get(value, ERASED) if isinstance(value, str) and value.startswith(MARK) else value
        for name, value in values.items()
    }
