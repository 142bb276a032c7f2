"""Whether the ledger is as it was written. Reads only; each function wants one unchanging view of the database."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from kernel_gateway.audit import chain, identities, tables
from kernel_gateway.audit.chain import START, Fault, Link, Record
from kernel_gateway.audit.events import IdentityErased, LedgerPruned
from kernel_gateway.audit.heads import Head
from kernel_gateway.audit.seal import Seal

_FETCHED_AT_ONCE = 2_000
_OTHER_TYPE = "the tables hold values of another type than the ledger writes"
_NOT_SIGNED = "the head that is said to sign it has no signature of this ledger"


@dataclass(frozen=True, slots=True)
class Report:
    """`fault` is the first record that is not as it was written. `first` and `last` are numbers of records that are.

    `truncation_checked` only against a head from outside: who can delete the newest records can also delete the heads
    that lie beside them.
    """

    first: int
    last: int
    segments: int
    heads: int
    fault: Fault | None
    truncation_checked: bool

    def json(self) -> dict[str, Any]:
        return {"ok": self.fault is None, **asdict(self)}


def newest_fault(connection: Connection, seal: Seal) -> Fault | None:
    """Looks at the last signed head and what was written after it."""
    try:
        return _newest_fault(connection, seal)
    except (TypeError, ValueError):
        return Fault(0, _OTHER_TYPE)


def _newest_fault(connection: Connection, seal: Seal) -> Fault | None:
    heads = _heads(connection)
    kept = _first_kept(connection)
    if not heads:
        return None if kept is None else Fault(kept, "no head signs it or what follows")
    head = heads[-1]
    if not head.is_signed_by(seal.signing.public_key()):
        return Fault(head.seq, _NOT_SIGNED)
    walk = _Walk(seal.chain, head.link, [])
    at_head = select(tables.events.c.mac).where(tables.events.c.seq == head.seq)
    if kept is not None and head.seq >= kept and connection.execute(at_head).scalar() != head.mac:
        return Fault(head.seq, "it is missing or not what a signed head says")
    return walk.over(_records(connection, head.seq + 1))


def verify(connection: Connection, seal: Seal, exported: Head | None = None) -> Report:
    """Checks everything there is, and whether it reaches as far as `exported`, a head that this ledger signed, says."""
    try:
        return _verify(connection, seal, exported)
    except (TypeError, ValueError):
        return Report(0, 0, 0, 0, Fault(0, _OTHER_TYPE), exported is not None)


def _verify(connection: Connection, seal: Seal, exported: Head | None) -> Report:
    stored, public = _heads(connection), seal.signing.public_key()
    heads = [head for head in stored if head.is_signed_by(public)] + ([exported] if exported else [])
    first = _first_kept(connection) or 1
    start = START if first == 1 else next((head.link for head in heads if head.seq == first - 1), None)
    walk = _Walk(seal.chain, start or Link(first - 1, ""), heads)
    faults = [Fault(head.seq, _NOT_SIGNED) for head in stored if head not in heads]
    if start is None:
        faults.append(Fault(first, "the signed head that closes what was before it is missing"))
    elif (broken := walk.over(_records(connection, first))) is not None:
        faults.append(broken)
    else:
        faults += _beside_the_chain(connection, walk, first, heads)
    return Report(
        first=first if walk.link.seq >= first else 0,
        last=walk.link.seq if walk.link.seq >= first else 0,
        segments=connection.execute(select(func.count()).select_from(tables.segments)).scalar_one(),
        heads=len(stored),
        fault=min(faults, key=lambda fault: fault.seq, default=None),
        truncation_checked=exported is not None,
    )


class _Walk:
    """Follows the chain, and remembers what is to be compared with the rest."""

    def __init__(self, key: bytes, link: Link, heads: Iterable[Head]) -> None:
        self._key, self.link = key, link
        self._signed = defaultdict[int, set[str]](set)
        for head in heads:
            self._signed[head.seq].add(head.mac)
        self.pruned = 0
        self.erased = set[str]()
        self.seen: dict[str, int] = {}

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
        for alias in identities.aliases_in(record.body):
            self.seen.setdefault(alias, record.seq)
        if record.kind == LedgerPruned.kind:
            self.pruned = max(self.pruned, json.loads(record.body)["through"])
        elif record.kind == IdentityErased.kind:
            self.erased.add(identities.MARK + json.loads(record.body)["alias"])


def _beside_the_chain(connection: Connection, walk: _Walk, first: int, heads: Iterable[Head]) -> Iterator[Fault]:
    last = walk.link.seq
    if (beyond := max((head.seq for head in heads), default=0)) > last:
        yield Fault(last + 1, f"it and what followed are missing: there is a signed head of record {beyond}")
    if walk.pruned != first - 1:
        yield Fault(walk.pruned + 1, f"it and those up to {first - 1} were removed before their time")
    forged, known = identities.forged(connection), identities.known(connection)
    for alias, seq in walk.seen.items():
        if alias in forged:
            yield Fault(seq, "another name was put into the place of the one it stands for")
        elif alias not in known and alias not in walk.erased:
            yield Fault(seq, "the name it stands for was removed, and not by `audit erase`")
    yield from _about_segments(connection, first, last)


def _about_segments(connection: Connection, first: int, last: int) -> Iterator[Fault]:
    segments = list(connection.execute(select(tables.segments).order_by(tables.segments.c.first_seq)))
    if not segments and last >= first:
        yield Fault(first, "no segment holds it")
    ends = [*(segment.first_seq for segment in segments[1:]), last + 1]
    for segment, end in zip(segments, ends, strict=False):
        within = (tables.events.c.seq >= segment.first_seq, tables.events.c.seq < end)
        oldest = connection.execute(select(func.min(tables.events.c.at)).where(*within)).scalar()
        if oldest != segment.oldest_at:
            yield Fault(segment.first_seq, "the segment that begins with it says another time than its records")


def _first_kept(connection: Connection) -> int | None:
    return connection.execute(select(func.min(tables.segments.c.first_seq))).scalar()


def _heads(connection: Connection) -> list[Head]:
    columns = tables.heads.c
    rows = connection.execute(select(columns.seq, columns.at, columns.mac, columns.signature).order_by(columns.seq))
    return [Head(*row) for row in rows]


def _records(connection: Connection, first: int) -> Iterator[tuple[Record, str]]:
    columns = tables.events.c
    wanted = [columns[name] for name in Record._fields]
    rows = connection.execute(select(*wanted, columns.mac).where(columns.seq >= first).order_by(columns.seq))
    for *record, mac in rows.yield_per(_FETCHED_AT_ONCE):
        yield Record(*record), mac
