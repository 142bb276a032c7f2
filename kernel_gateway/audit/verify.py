"""Whether the ledger is as it was written. Reads only; each function wants one unchanging view of the database."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from kernel_gateway.audit import identities, tables
from kernel_gateway.audit.chain import Fault, Link
from kernel_gateway.audit.due import other_segment
from kernel_gateway.audit.heads import Head
from kernel_gateway.audit.seal import Seal
from kernel_gateway.audit.walk import CLOSING_IS_MISSING, Walk, records, start_of, stored_heads, stored_segments

_OTHER_TYPE = "the tables hold values of another type than the ledger writes"
_NOT_SIGNED = "the head that is said to sign it has no signature of this ledger"


@dataclass(frozen=True, slots=True)
class Report:
    """`fault` is the first record that is not as it was written. `first` and `last` are numbers of records that are.

    The records up to `adopted` were written by a version without a chain. `truncation_checked` only against a head from
    outside: who can delete the newest records can also delete the heads that lie beside them. A head of records that
    were pruned since says nothing of the rest.
    """

    first: int
    last: int
    segments: int
    heads: int
    adopted: int
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
    heads = stored_heads(connection)
    kept = first_kept(connection)
    if not heads:
        return None if kept is None else Fault(kept, "no head signs it or what follows")
    head = heads[-1]
    if not head.is_signed_by(seal.signing.public_key()):
        return Fault(head.seq, _NOT_SIGNED)
    at_head = select(tables.events.c.mac).where(tables.events.c.seq == head.seq)
    if kept is not None and head.seq >= kept and connection.execute(at_head).scalar() != head.mac:
        return Fault(head.seq, "it is missing or not what a signed head says")
    return Walk(seal.chain, head.link).over(records(connection, head.seq + 1))


def verify(connection: Connection, seal: Seal, exported: Sequence[Head] = ()) -> Report:
    """Checks everything there is, and whether it reaches as far as `exported`, heads that this ledger signed, say."""
    try:
        return _verify(connection, seal, exported)
    except (TypeError, ValueError):
        return Report(0, 0, 0, 0, 0, Fault(0, _OTHER_TYPE), bool(exported))


def _verify(connection: Connection, seal: Seal, exported: Sequence[Head]) -> Report:
    stored, public = stored_heads(connection), seal.signing.public_key()
    heads = [*(head for head in stored if head.is_signed_by(public)), *exported]
    kept = first_kept(connection)
    first = 1 if kept is None else max(kept, 1)
    start = start_of(first, heads)
    walk = Walk(seal.chain, start or Link(first - 1, ""), heads)
    faults = [Fault(head.seq, _NOT_SIGNED) for head in stored if head not in heads]
    if start is None:
        faults.append(Fault(first, CLOSING_IS_MISSING))
    elif (broken := walk.over(records(connection, first))) is not None:
        faults.append(broken)
    else:
        faults += _beside_the_chain(connection, walk, first, heads)
        faults += _about_people(connection, walk, seal, first)
    return Report(
        first=first if walk.link.seq >= first else 0,
        last=walk.link.seq if walk.link.seq >= first else 0,
        segments=connection.execute(select(func.count()).select_from(tables.segments)).scalar_one(),
        heads=len(stored),
        adopted=walk.adopted,
        fault=min(faults, key=lambda fault: fault.seq, default=None),
        truncation_checked=any(head.seq >= first - 1 for head in exported),
    )


def _beside_the_chain(connection: Connection, walk: Walk, first: int, heads: Iterable[Head]) -> Iterator[Fault]:
    last, signed = walk.link.seq, {head.seq for head in heads}
    if (beyond := max(signed, default=0)) > last:
        yield Fault(last + 1, f"it and what followed are missing: there is a signed head of record {beyond}")
    if walk.pruned != first - 1:
        yield Fault(walk.pruned + 1, f"it and those up to {first - 1} were removed before their time")
    if (lowest := connection.execute(select(func.min(tables.events.c.seq))).scalar()) is not None and lowest < 1:
        yield Fault(0, "a record was put in before the first")
    if (other := other_segment(stored_segments(connection), walk.segments)) is not None:
        yield other
    for segment in walk.segments[1:]:
        if segment.first_seq - 1 not in signed:
            yield Fault(segment.first_seq, CLOSING_IS_MISSING)


def _about_people(connection: Connection, walk: Walk, seal: Seal, first: int) -> Iterator[Fault]:
    people = {person.alias: person for person in identities.everybody(connection)}
    for alias, (seq, segment) in walk.seen.items():
        person, is_erased = people.pop(alias, None), identities.erasure(seal.chain, alias) in walk.erased
        if person is None:
            if not is_erased:
                yield Fault(seq, "the name it stands for was removed, and not by `audit erase`")
        elif is_erased:
            yield Fault(seq, "the name it stands for was erased, and is there again")
        elif not person.is_who_was_meant:
            yield Fault(seq, "another name was put into the place of the one it stands for")
        elif person.segment != segment:
            yield Fault(seq, "the name it stands for is kept for another segment than its own")
    if people:
        yield Fault(first, "a name is kept for which no record stands")


def first_kept(connection: Connection) -> int | None:
    return connection.execute(select(func.min(tables.segments.c.first_seq))).scalar()
