"""Adds events to the end of the ledger, within one transaction: numbered, chained, in segments, under signed heads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from kernel_gateway.audit import chain, heads, identities, tables
from kernel_gateway.audit.chain import START, Link, Record
from kernel_gateway.audit.events import Event
from kernel_gateway.audit.heads import Head
from kernel_gateway.audit.seal import Seal
from kernel_gateway.audit.segments import Segment, segment_of

MAX_ALIASES = 10_000  # kept in memory, about 3 MB; whoever has none there is looked up again

UNSIGNED = Head(START.seq, 0, START.mac)
_INSERT = insert(tables.events)

Person = tuple[str, str]  # organisation, name
Naming = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Tail:
    """Where the ledger ends: its last record, the open segment with the aliases made there, the last signed head."""

    link: Link = START
    segment: Segment | None = None
    head: Head = UNSIGNED
    aliases: Mapping[Person, str] = field(default_factory=dict, repr=False)


class Appending:
    """What is added in one transaction. `finish` writes it, and says where the ledger ends once that is committed."""

    def __init__(self, connection: Connection, tail: Tail, seal: Seal, new_salt: Callable[[], str]) -> None:
        self._connection, self._seal, self._new_salt = connection, seal, new_salt
        self._tail, self._link = tail, tail.link
        self._made: dict[Person, str] = {}
        self._rows: list[dict[str, Any]] = []

    def add(self, at: float, event: Event) -> None:
        self.write(at, event.kind, event.session_id, event.organisation, event.body)

    def write(self, at: float, kind: str, session_id: str, organisation: str, body: Callable[[Naming], str]) -> None:
        """A record, with the body that `body` makes of how people are named."""
        at = float(at)  # as it will be read again
        segment = self._segment(at)

        def naming(name: str) -> str:
            return self._alias(segment, (organisation, name))

        record = Record(self._link.seq + 1, at, kind, session_id, organisation, body(naming))
        self._link = Link(record.seq, chain.mac(self._seal.chain, self._link, record))
        self._rows.append({**record._asdict(), "mac": self._link.mac})

    def sign(self, at: float, *, closing: bool = False) -> None:
        head = heads.sign(self._seal.signing, self._link, at)
        self._connection.execute(delete(tables.heads).where(tables.heads.c.seq == head.seq))
        row = {"seq": head.seq, "at": head.at, "mac": head.mac, "signature": head.signature, "closing": closing}
        self._connection.execute(insert(tables.heads), row)
        self._tail = replace(self._tail, head=head)

    def close_segment(self, at: float) -> None:
        """What comes next begins another one."""
        self.sign(at, closing=True)
        self._made = {}
        self._tail = replace(self._tail, segment=None, aliases={})

    def finish(self) -> Tail:
        if self._rows:
            self._connection.execute(_INSERT, self._rows)
        if self._made:
            aliases = {**self._tail.aliases, **self._made}
            self._tail = replace(self._tail, aliases=aliases if len(aliases) <= MAX_ALIASES else {})
        return replace(self._tail, link=self._link)

    def _segment(self, at: float) -> Segment:
        before = self._tail.segment
        segment = segment_of(self._link.seq + 1, at, before)
        if segment is before:
            return segment
        if before is not None and segment.first_seq == before.first_seq:
            of_segment = update(tables.segments).where(tables.segments.c.first_seq == segment.first_seq)
            self._connection.execute(of_segment.values(oldest_at=at))
        else:
            if before is not None:
                self.close_segment(at)
            self._connection.execute(insert(tables.segments), {"first_seq": segment.first_seq, "oldest_at": at})
        self._tail = replace(self._tail, segment=segment)
        return segment

    def _alias(self, segment: Segment, person: Person) -> str:
        alias = self._made.get(person) or self._tail.aliases.get(person)
        if alias is None:
            alias = identities.obtain(self._connection, segment.first_seq, *person, self._new_salt())
            self._made[person] = alias
        return alias
