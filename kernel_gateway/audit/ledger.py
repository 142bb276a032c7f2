"""The ledger as it lies in the database: append, prune, erase. Each method is the work of one transaction."""

import secrets
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, delete, func, select

from kernel_gateway.audit import adopt, identities, tables
from kernel_gateway.audit.appending import Appending, Tail
from kernel_gateway.audit.chain import START, Link
from kernel_gateway.audit.due import Due, due, pruned_through
from kernel_gateway.audit.events import Event, IdentityErased, LedgerPruned
from kernel_gateway.audit.heads import Head
from kernel_gateway.audit.seal import Seal
from kernel_gateway.audit.segments import Segment
from kernel_gateway.audit.settings import AuditSettings
from kernel_gateway.audit.verify import newest_fault

DAY = 86_400.0
SWEPT_AT_ONCE = 5_000  # records deleted in one transaction: others wait for it, about 20 ms
_LAST = select(tables.events.c.seq, tables.events.c.mac).order_by(tables.events.c.seq.desc()).limit(1)


class Ledger:
    """`fault` says what is wrong with the newest records, or is empty.

    Another process may have written meanwhile, so each transaction first reads where the ledger ends. What a method
    says about the new end holds once the transaction is committed: give it to `committed` then.
    `append_at_once` goes by memory alone: where another has written, its number is taken, and the transaction fails.
    """

    def __init__(
        self, seal: Seal, settings: AuditSettings, new_salt: Callable[[], str] = lambda: secrets.token_hex(16)
    ) -> None:
        self._seal, self._settings, self._new_salt = seal, settings, new_salt
        self._tail: Tail | None = None
        self.fault = ""

    def prepare(self, connection: Connection) -> None:
        """Makes the tables, takes over the records of a version without a chain, looks at the newest records."""
        old = adopt.set_aside(connection, self._seal)
        tables.metadata.create_all(connection)
        if old is not None:
            appending = Appending(connection, Tail(), self._seal, self._new_salt)
            adopt.take_over(connection, old, appending)
            appending.finish()
        if (fault := newest_fault(connection, self._seal)) is not None:
            self.fault = f"record {fault.seq} of the ledger: {fault.what}"

    def append(self, connection: Connection, batch: Sequence[tuple[float, Event]]) -> Tail:
        return self._append(connection, batch, self._resumed(connection))

    def append_at_once(self, connection: Connection, batch: Sequence[tuple[float, Event]]) -> Tail:
        return self._append(connection, batch, self._tail or self._resumed(connection))

    def committed(self, tail: Tail) -> None:
        self._tail = tail

    def sign(self, connection: Connection, now: float, tail: Tail | None = None, *, at_once: bool = False) -> Tail:
        """Signs a head where one is due, or `at_once` where anything is new."""
        tail = tail or self._resumed(connection)
        new, age = tail.link.seq - tail.head.seq, now - tail.head.at
        is_due = at_once or new >= self._settings.checkpoint_events or age >= self._settings.checkpoint_seconds
        if new and is_due:
            appending = Appending(connection, tail, self._seal, self._new_salt)
            appending.sign(now)
            tail = appending.finish()
        return tail

    def due(self, connection: Connection, before: float) -> Due | None:
        """The segments, from the oldest on, whose first record is not younger than `before`."""
        return due(connection, self._seal, before, self._resumed(connection).link.seq)

    def prune(self, connection: Connection, due: Due, now: float) -> Tail:
        """Gives up what was looked at and found sound; else says so, and nothing goes.

        Who their people were is gone at once, the records with `sweep`; the head that closes them stays.
        """
        tail, segments = self._resumed(connection), tables.segments.c
        if connection.execute(select(func.min(segments.first_seq))).scalar() != due.first:
            return tail  # another process has pruned meanwhile
        if due.fault is not None:
            self.fault = f"record {due.fault.seq} of the ledger is due, and was not deleted: {due.fault.what}"
            return tail
        first_kept = due.through + 1
        appending = Appending(connection, tail, self._seal, self._new_salt)
        if tail.link.seq == due.through:
            appending.close_segment(now)
        elif connection.execute(select(segments.first_seq).where(segments.first_seq == first_kept)).first() is None:
            return tail  # it has grown meanwhile: it goes the next time
        connection.execute(delete(tables.segments).where(segments.first_seq < first_kept))
        is_kept = tables.identities.c.segment.in_(select(segments.first_seq))
        connection.execute(delete(tables.identities).where(~is_kept))
        passing = (tables.heads.c.seq < due.through, tables.heads.c.closing.is_(False))
        connection.execute(delete(tables.heads).where(*passing))
        appending.add(now, LedgerPruned(through=due.through))
        return appending.finish()

    def sweep(self, connection: Connection) -> bool:
        """Deletes some of the records that were given up. False where there are none."""
        kept = connection.execute(select(func.min(tables.segments.c.first_seq))).scalar()
        first = connection.execute(select(func.min(tables.events.c.seq))).scalar()
        if kept is None or first is None or first >= kept or first > (last := pruned_through(connection, self._seal)):
            return False
        connection.execute(delete(tables.events).where(tables.events.c.seq < min(last + 1, first + SWEPT_AT_ONCE)))
        return True

    def erase(self, connection: Connection, organisation: str, name: str, now: float) -> tuple[Tail, int]:
        """Forgets who a person was, and records that; the records of them stay. Also says in how many segments."""
        tail = self._resumed(connection)
        aliases = identities.erase(connection, organisation, name)
        appending = Appending(connection, tail, self._seal, self._new_salt)
        for digest in sorted(identities.erasure(self._seal.chain, alias) for alias in aliases):
            appending.add(now, IdentityErased(organisation=organisation, alias_digest=digest))
        return appending.finish(), len(aliases)

    def _append(self, connection: Connection, batch: Sequence[tuple[float, Event]], tail: Tail) -> Tail:
        appending = Appending(connection, tail, self._seal, self._new_salt)
        for at, event in batch:
            appending.add(at, event)
        return self.sign(connection, batch[-1][0], appending.finish())

    def _resumed(self, connection: Connection) -> Tail:
        last = last_link(connection)
        if self._tail is None:
            return _tail(connection, last)
        if last == self._tail.link:
            return self._tail
        if last.seq > self._tail.link.seq:
            return _tail(connection, last)  # written by another process, which may also have erased somebody
        # Nobody may delete or change the newest record: going on from it as it was leaves that to be seen.
        self.fault = f"record {self._tail.link.seq} of the ledger was removed or changed under the running service"
        return self._tail


def last_link(connection: Connection) -> Link:
    row = connection.execute(_LAST).first()
    return Link(*row) if row is not None else START


def _tail(connection: Connection, last: Link) -> Tail:
    segment = connection.execute(select(tables.segments).order_by(tables.segments.c.first_seq.desc()).limit(1)).first()
    head = connection.execute(select(tables.heads).order_by(tables.heads.c.seq.desc()).limit(1)).first()
    open_one = None if segment is None else Segment(*segment)
    if head is None:
        return Tail(last, open_one)
    signed = Head(head.seq, head.at, head.mac, head.signature)
    return Tail(max(last, signed.link), open_one, signed)  # records that are missing stay missing, see _resumed
