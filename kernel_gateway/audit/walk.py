"""Follows the chain over the records in the database, and remembers what is to be compared with the rest."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, select

from kernel_gateway.audit import chain, identities, tables
from kernel_gateway.audit.chain import START, Fault, Link, Record
from kernel_gateway.audit.events import IdentityErased, LedgerAdopted, LedgerPruned
from kernel_gateway.audit.heads import Head
from kernel_gateway.audit.segments import Segment, segment_of

CLOSING_IS_MISSING = "the signed head that closes what was before it is missing"
_FETCHED_AT_ONCE = 2_000


class Walk:
    """`link` is the last record that is as it was written; `heads` are signed, `segments` what the times say.

    `seen` tells of each alias the first record that names it, and the first of its segment.
    """

    def __init__(self, key: bytes, link: Link, heads: Iterable[Head] = ()) -> None:
        self._key, self.link = key, link
        self._signed = defaultdict[int, set[str]](set)
        for head in heads:
            self._signed[head.seq].add(head.mac)
        self.segments: list[Segment] = []
        self.adopted = self.pruned = 0
        self.erased = set[str]()
        self.seen: dict[str, tuple[int, int]] = {}

    def over(self, records: Iterable[tuple[Record, str]]) -> Fault | None:
        for record, mac in records:
            if (broken := chain.fault(self._key, self.link, record, mac)) is not None:
                return broken
            if record.seq in self._signed and self._signed[record.seq] != {mac}:
                return Fault(record.seq, "a signed head says that it was another one")
            self.link = Link(record.seq, mac)
            self._remember(record)
        return None

    def _remember(self, record: Record) -> None:
        before = self.segments[-1] if self.segments else None
        segment = segment_of(record.seq, record.at, before)
        if before is not None and segment.first_seq == before.first_seq:
            self.segments[-1] = segment
        else:
            self.segments.append(segment)
        for alias in identities.aliases_in(record.body):
            self.seen.setdefault(alias, (record.seq, segment.first_seq))
        if record.kind == LedgerPruned.kind:
            self.pruned = max(self.pruned, json.loads(record.body)["through"])
        elif record.kind == LedgerAdopted.kind:
            self.adopted = record.seq - 1
        elif record.kind == IdentityErased.kind:
            self.erased.add(json.loads(record.body)["alias_digest"])


def start_of(first: int, heads: Iterable[Head]) -> Link | None:
    """What the record `first` follows, as one of the signed `heads` says."""
    return START if first == 1 else next((head.link for head in heads if head.seq == first - 1), None)


def stored_heads(connection: Connection) -> list[Head]:
    columns = tables.heads.c
    rows = connection.execute(select(columns.seq, columns.at, columns.mac, columns.signature).order_by(columns.seq))
    return [Head(*row) for row in rows]


def stored_segments(connection: Connection) -> list[Segment]:
    rows = connection.execute(select(tables.segments).order_by(tables.segments.c.first_seq))
    return [Segment(row.first_seq, row.oldest_at) for row in rows]


def records(connection: Connection, first: int, last: int | None = None) -> Iterator[tuple[Record, str]]:
    columns = tables.events.c
    wanted = select(*(columns[name] for name in Record._fields), columns.mac).where(columns.seq >= first)
    if last is not None:
        wanted = wanted.where(columns.seq <= last)
    for *record, mac in connection.execute(wanted.order_by(columns.seq)).yield_per(_FETCHED_AT_ONCE):
        yield Record(*record), mac
