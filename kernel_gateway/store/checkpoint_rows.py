"""What the tables of checkpoints say of a session, and what is written there. Each function is given a transaction.

To build and compile a statement takes longer than to run it, so those that every commit needs are made once.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, ColumnElement, Connection, bindparam, delete, exists, func, insert, select, update
from sqlalchemy.engine import Row

from kernel_gateway.store.checkpoint_tables import (
    checkpoints,
    chunks,
    deletions,
    organisations,
    references,
    sessions,
)
from kernel_gateway.store.chunks import Stored

_Where = Sequence[ColumnElement[bool]]
_DELETION_SECONDS = 86_400.0  # a commit that was under way when its session was deleted ends long before
_AT_ONCE = 500  # names in one statement: databases bound how many values that may have

_of_session: BindParameter[str] = bindparam("of_session")
_session = select(sessions).where(sessions.c.session_id == _of_session)
_checkpoint = select(checkpoints).where(
    checkpoints.c.session_id == _of_session, checkpoints.c.seq == bindparam("of_seq")
)
_newest = (
    select(*(column for column in checkpoints.c if column.name != "sealed"))
    .where(checkpoints.c.session_id == _of_session)
    .order_by(checkpoints.c.seq.desc())
    .limit(1)
)
_at_cell = _newest.where(checkpoints.c.present, checkpoints.c.cell <= bindparam("of_cell"))
_deletion = select(deletions.c.at).where(deletions.c.session_digest == bindparam("of_digest"))
_stored_bytes = select(func.sum(organisations.c.stored))
_insert_checkpoint, _insert_chunk, _insert_reference = insert(checkpoints), insert(chunks), insert(references)
_use = (
    update(references)
    .where(references.c.session_id == _of_session, references.c.name == bindparam("of_name"))
    .values(last_seq=bindparam("to"))
)
_grow = (
    update(organisations)
    .where(organisations.c.organisation == bindparam("of_organisation"))
    .values(stored=organisations.c.stored + bindparam("more"))
)
_grow_session = (
    update(sessions)
    .where(sessions.c.session_id == _of_session)
    .values(stored=sessions.c.stored + bindparam("more"), kept=sessions.c.kept + bindparam("checkpoints"))
)
_some: BindParameter[list[str]] = bindparam("some", expanding=True)
_stored_chunks = select(*(chunks.c[name] for name in Stored.__slots__)).where(chunks.c.chunk_id.in_(_some))
_at_addresses = select(chunks.c.address, chunks.c.chunk_id, chunks.c.stored).where(chunks.c.address.in_(_some))


class Reference(NamedTuple):
    name: str
    last_seq: int | None
    stored: int
    chunk_id: str
    wrapped: bytes


_reference_columns = [references.c[name] for name in Reference._fields]
_live = select(*_reference_columns).where(references.c.session_id == _of_session, references.c.last_seq.is_(None))
_references_to = select(*_reference_columns).where(references.c.session_id == _of_session, references.c.name.in_(_some))
_one = (
    select(references.c.chunk_id, func.min(references.c.session_id).label("session_id"))
    .where(references.c.chunk_id.in_(_some))
    .group_by(references.c.chunk_id)
    .subquery()
)
_holders = (
    select(sessions, references.c.chunk_id, references.c.name, references.c.wrapped.label("chunk_key"))
    .join(references, references.c.session_id == sessions.c.session_id)
    .join(_one, (_one.c.chunk_id == references.c.chunk_id) & (_one.c.session_id == references.c.session_id))
)


@dataclass(frozen=True, slots=True)
class Held:
    """The newest checkpoint of a session, and by name its references that this one needs or that were asked for."""

    newest: Row[Any] | None
    references: Mapping[str, Reference]

    @classmethod
    def of(cls, connection: Connection, session_id: str, names: Collection[str]) -> "Held":
        live = {row[0]: Reference(*row) for row in connection.execute(_live, {"of_session": session_id})}
        others = references_to(connection, session_id, [name for name in names if name not in live])
        return cls(newest(connection, session_id), live | others)


def session(connection: Connection, session_id: str) -> Row[Any] | None:
    return connection.execute(_session, {"of_session": session_id}).first()


def checkpoint(connection: Connection, session_id: str, seq: int) -> Row[Any] | None:
    return connection.execute(_checkpoint, {"of_session": session_id, "of_seq": seq}).first()


def newest(connection: Connection, session_id: str) -> Row[Any] | None:
    return connection.execute(_newest, {"of_session": session_id}).first()


def at_cell(connection: Connection, session_id: str, cell: int) -> Row[Any] | None:
    return connection.execute(_at_cell, {"of_session": session_id, "of_cell": cell}).first()


def stored_bytes(connection: Connection) -> int:
    """Of all organisations: chunks and manifests."""
    return int(connection.execute(_stored_bytes).scalar() or 0)


def add_checkpoint(connection: Connection, values: Mapping[str, Any]) -> None:
    connection.execute(_insert_checkpoint, dict(values))


def grow(connection: Connection, session_id: str, organisation: str, written: int, referred: int) -> None:
    """By one checkpoint: bytes that are new on the disk, and bytes that the session refers to now."""
    connection.execute(_grow_session, {"of_session": session_id, "more": referred, "checkpoints": 1})
    _grow_organisation(connection, organisation, written)


def leave_branch(connection: Connection, session_id: str, after: int, before: int) -> None:
    """What lies between these two checkpoints is no part of the present any more."""
    left = (checkpoints.c.session_id == session_id, checkpoints.c.seq > after, checkpoints.c.seq < before)
    connection.execute(update(checkpoints).where(*left).values(present=False))


def add_chunks(connection: Connection, added: Iterable[Stored]) -> None:
    if values := [{name: getattr(each, name) for name in Stored.__slots__} for each in added]:
        connection.execute(_insert_chunk, values)


def add_references(connection: Connection, session_id: str, added: Iterable[Reference]) -> None:
    if rows := [{"session_id": session_id, **each._asdict()} for each in added]:
        connection.execute(_insert_reference, rows)


def note_use(connection: Connection, session_id: str, held: Held, names: frozenset[str], seq: int) -> None:
    """That the checkpoint `seq` names these and no others."""
    changed = []
    for reference in held.references.values():
        if (reference.name in names) != (reference.last_seq is None):
            to = None if reference.name in names else seq - 1
            changed.append({"of_session": session_id, "of_name": reference.name, "to": to})
    if changed:
        connection.execute(_use, changed)


def references_to(connection: Connection, session_id: str, names: Iterable[str]) -> dict[str, Reference]:
    """The session's own, by name."""
    found: dict[str, Reference] = {}
    for some in _parts(names):
        rows = connection.execute(_references_to, {"of_session": session_id, "some": some})
        found |= {row[0]: Reference(*row) for row in rows}
    return found


def stored_chunks(connection: Connection, chunk_ids: Iterable[str]) -> dict[str, Stored]:
    found = {}
    for some in _parts(chunk_ids):
        for row in connection.execute(_stored_chunks, {"some": some}):
            found[row.chunk_id] = Stored(*row)
    return found


def at_addresses(connection: Connection, addresses: Iterable[str]) -> dict[str, tuple[str, int]]:
    """By address: the chunk's id and what it takes on the disk."""
    found = {}
    for some in _parts(addresses):
        for address, chunk_id, stored in connection.execute(_at_addresses, {"some": some}):
            found[address] = (chunk_id, stored)
    return found


def holders(connection: Connection, chunk_ids: Iterable[str]) -> dict[str, Row[Any]]:
    """By chunk, one session that has its key: columns of its row, and of the reference."""
    found = {}
    for some in _parts(chunk_ids):
        for row in connection.execute(_holders, {"some": some}):
            found[row.chunk_id] = row
    return found


def oldest_of(connection: Connection, session_id: str, most: int) -> int:
    """The number of the oldest of the newest `most` checkpoints, which there are."""
    of_session = select(checkpoints.c.seq).where(checkpoints.c.session_id == session_id)
    oldest = of_session.order_by(checkpoints.c.seq.desc()).offset(most - 1).limit(1)
    return int(connection.execute(oldest).scalar_one())


def sizes(connection: Connection, session_id: str) -> tuple[list[tuple[int, int]], list[tuple[int | None, int]]]:
    """(seq, bytes) of the session's checkpoints, ascending; (last_seq, bytes) of its references."""
    ascending = select(checkpoints.c.seq, checkpoints.c.size).where(checkpoints.c.session_id == session_id)
    uses = select(references.c.last_seq, references.c.stored).where(references.c.session_id == session_id)
    rows = connection.execute(ascending.order_by(checkpoints.c.seq))
    return [(seq, size) for seq, size in rows], [(seq, size) for seq, size in connection.execute(uses)]


def drop_before(connection: Connection, session_id: str, organisation: str, seq: int) -> list[str]:
    """Forgets the session's checkpoints before `seq` and what only those need: the files that can go."""
    old = (checkpoints.c.session_id == session_id, checkpoints.c.seq < seq)
    unused = (references.c.session_id == session_id, references.c.last_seq < seq)
    count, size = connection.execute(select(func.count(), func.sum(checkpoints.c.size)).where(*old)).one()
    referred = connection.execute(select(func.sum(references.c.stored)).where(*unused)).scalar() or 0
    less = {"of_session": session_id, "more": -int(size or 0) - int(referred), "checkpoints": -count}
    connection.execute(_grow_session, less)
    return _drop(connection, organisation, old, unused)


def note_deletion(connection: Connection, session_id: str, at: float) -> None:
    """So that no commit makes it again, whenever that began."""
    digest = _digest(session_id)
    known = (deletions.c.session_digest == digest) | (deletions.c.at < at - _DELETION_SECONDS)
    connection.execute(delete(deletions).where(known))
    connection.execute(insert(deletions), {"session_digest": digest, "at": at})


def was_deleted(connection: Connection, session_id: str) -> bool:
    return connection.execute(_deletion, {"of_digest": _digest(session_id)}).first() is not None


def drop_session(connection: Connection, session_id: str) -> list[str] | None:
    """The key first, then all that it opens: the files that can go. None: there was nothing."""
    row = session(connection, session_id)
    if row is None:
        return None
    connection.execute(delete(sessions).where(sessions.c.session_id == session_id))
    of_session = (checkpoints.c.session_id == session_id,)
    return _drop(connection, row.organisation, of_session, (references.c.session_id == session_id,))


def _drop(connection: Connection, organisation: str, old: _Where, unused: _Where) -> list[str]:
    freed = int(connection.execute(select(func.sum(checkpoints.c.size)).where(*old)).scalar() or 0)
    connection.execute(delete(checkpoints).where(*old))
    let_go = connection.execute(select(references.c.chunk_id).where(*unused)).scalars().all()
    connection.execute(delete(references).where(*unused))
    files = []
    is_needed = exists().where(references.c.chunk_id == chunks.c.chunk_id)
    for some in _parts(let_go):
        columns = (chunks.c.chunk_id, chunks.c.stored, chunks.c.body.is_(None))
        gone = connection.execute(select(*columns).where(chunks.c.chunk_id.in_(some), ~is_needed)).all()
        connection.execute(delete(chunks).where(chunks.c.chunk_id.in_([chunk_id for chunk_id, _, _ in gone])))
        freed += sum(stored for _, stored, _ in gone)
        files += [chunk_id for chunk_id, _, is_file in gone if is_file]
    _grow_organisation(connection, organisation, -freed)
    return files


def _grow_organisation(connection: Connection, organisation: str, more: int) -> None:
    connection.execute(_grow, {"of_organisation": organisation, "more": more})


def _digest(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()


def _parts(names: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
