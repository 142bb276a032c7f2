"""Values of a session, encrypted at rest and gone for good with their session.

AES-256-GCM. Each session has a key of its own, stored wrapped by the installation's key `vault`, which lives outside
the database (keys.py): the database alone, or a backup of it, opens nothing. What a row belongs to is authenticated
with it, so that no row can be moved to another session, kind or name. Without its key a session's values are noise.
"""

import secrets
from collections.abc import Callable

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from kernel_gateway.store.database import Database, NotNowError
from kernel_gateway.store.sealing import Box
from kernel_gateway.store.wrapping import Secrets, Wrapping

_metadata = MetaData()
_keys = Table(
    "vault_keys",
    _metadata,
    Column("session_id", String(64), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)
_values = Table(
    "vault_values",
    _metadata,
    Column("session_id", String(64), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # nonce, ciphertext, tag
)
# Made once: to build and compile a statement takes longer than to run it.
_place = and_(*(_values.c[name] == bindparam(f"of_{name}") for name in ("session_id", "kind", "name")))
_of_session = _keys.c.session_id == bindparam("of_session_id")
_select_key = select(_keys.c.wrapped).where(_of_session)
_insert_key = insert(_keys)
_select = select(_values.c.sealed).where(_place)
_select_kind = select(_values.c.name, _values.c.sealed).where(
    _values.c.session_id == bindparam("of_session_id"), _values.c.kind == bindparam("of_kind")
)
_update = update(_values).where(_place).values(sealed=bindparam("to"))
_insert = insert(_values)
_delete = delete(_values).where(_place)


Write = Callable[[Connection], object]


class Vault:
    """`random(n)` gives n random bytes. Raises GatewayError `internal` where a value was damaged or moved."""

    def __init__(self, database: Database, keys: Secrets, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._database, self._wrapping = database, Wrapping(keys, random)
        self._has_tables = False
        self._committed: dict[str, Box] = {}  # of sessions whose key is there, for `sealed`

    def __repr__(self) -> str:
        return f"<Vault in {self._database!r}>"

    async def prepare(self) -> None:
        """Makes the tables. Needed before `write` and `read` only: the others see to it. Raises ConfigError where the
        installation's key cannot be used."""
        if not self._has_tables:
            self._wrapping.prepare()
            await self._database.run(_metadata.create_all)
            self._has_tables = True

    async def put(self, session_id: str, kind: str, name: str, plaintext: bytes) -> None:
        """Stores or replaces a value."""
        await self.prepare()
        await self._database.run(lambda connection: self.write(connection, session_id, kind, name, plaintext))

    async def get(self, session_id: str, kind: str, name: str) -> bytes | None:
        await self.prepare()
        return await self._database.run(lambda connection: self.read(connection, session_id, kind, name))

    async def all(self, session_id: str, kind: str) -> dict[str, bytes]:
        """Every value of `kind`, by its name."""
        await self.prepare()

        def read(connection: Connection) -> dict[str, bytes]:
            box = self._box(connection, session_id)
            rows = connection.execute(_select_kind, {"of_session_id": session_id, "of_kind": kind}).all()
            return {} if box is None else {name: box.open(sealed, (session_id, kind, name)) for name, sealed in rows}

        return await self._database.run(read)

    async def names(self, session_id: str, kind: str) -> list[str]:
        """In alphabetical order."""
        await self.prepare()
        where = (_values.c.session_id == session_id, _values.c.kind == kind)
        statement = select(_values.c.name).where(*where).order_by(_values.c.name)
        return await self._database.run(lambda connection: list(connection.execute(statement).scalars()))

    async def holders(self, kind: str) -> list[str]:
        """The sessions that have a value of this kind."""
        await self.prepare()
        statement = select(_values.c.session_id).where(_values.c.kind == kind).distinct()
        return await self._database.run(lambda connection: list(connection.execute(statement).scalars()))

    async def delete(self, session_id: str, kind: str, name: str) -> None:
        await self.prepare()
        await self._database.run(lambda connection: connection.execute(_delete, _at(session_id, kind, name)))

    async def delete_session(self, session_id: str) -> None:
        """Key and values, overwritten in the database's file and in its log."""
        await self.prepare()

        def shred(connection: Connection) -> bool:
            connection.execute(delete(_values).where(_values.c.session_id == session_id))
            return connection.execute(delete(_keys).where(_keys.c.session_id == session_id)).rowcount > 0

        self._committed.pop(session_id, None)
        if await self._database.run(shred):
            await self._database.forget()

    async def delete_kind(self, kind: str, *, keep: Callable[[str], bool]) -> None:
        """Every session's values of `kind` but those of sessions to `keep`; their keys go with their last value."""
        await self.prepare()

        def shred(connection: Connection) -> bool:
            found = connection.execute(select(_values.c.session_id).where(_values.c.kind == kind).distinct()).scalars()
            gone = [session_id for session_id in found.all() if not keep(session_id)]
            for session_id in gone:
                self._committed.pop(session_id, None)
                connection.execute(delete(_values).where(_values.c.kind == kind, _values.c.session_id == session_id))
                of_it, left = _keys.c.session_id == session_id, select(_values.c.session_id)
                connection.execute(delete(_keys).where(of_it, _keys.c.session_id.not_in(left)))
            return bool(gone)

        if await self._database.run(shred):
            await self._database.forget()

    def write(self, connection: Connection, session_id: str, kind: str, name: str, plaintext: bytes) -> None:
        """As `put`, inside a transaction of somebody else's."""
        box = self._box(connection, session_id)
        if box is None:
            key, wrapped = self._wrapping.new((session_id,))
            connection.execute(_insert_key, {"session_id": session_id, "wrapped": wrapped})
            box = self._wrapping.box(key)
        _put(connection, session_id, kind, name, box.seal(plaintext, (session_id, kind, name)))

    def sealed(self, session_id: str, kind: str, name: str, plaintext: bytes, *, is_new: bool = False) -> Write:
        """What stores or replaces a value in a transaction of somebody else's: one statement, once the session has a
        key, where the value is there or said to be new."""
        if (box := self._committed.get(session_id)) is None:
            try:
                box = self._database.at_once(lambda connection: self._box(connection, session_id))
            except NotNowError:
                box = None
            if box is None:
                return lambda connection: self.write(connection, session_id, kind, name, plaintext)
            self._committed[session_id] = box
        sealed = box.seal(plaintext, (session_id, kind, name))
        if is_new:
            row = {"session_id": session_id, "kind": kind, "name": name, "sealed": sealed}
            return lambda connection: connection.execute(_insert, row)
        return lambda connection: _put(connection, session_id, kind, name, sealed)

    def read(self, connection: Connection, session_id: str, kind: str, name: str) -> bytes | None:
        """As `get`, inside a transaction of somebody else's."""
        sealed = connection.execute(_select, _at(session_id, kind, name)).scalar()
        box = None if sealed is None else self._box(connection, session_id)
        return None if sealed is None or box is None else box.open(sealed, (session_id, kind, name))

    def rewrap(self, connection: Connection) -> int:
        """Every session's key by the next installation's key: how many."""
        _metadata.create_all(connection)
        return self._wrapping.rewrap(connection, _keys, lambda row: (row["session_id"],))

    def _box(self, connection: Connection, session_id: str) -> Box | None:
        wrapped = connection.execute(_select_key, {"of_session_id": session_id}).scalar()
        return None if wrapped is None else self._wrapping.box(self._wrapping.unwrap(wrapped, (session_id,)))


def _put(connection: Connection, session_id: str, kind: str, name: str, sealed: bytes) -> None:
    if not connection.execute(_update, {**_at(session_id, kind, name), "to": sealed}).rowcount:
        connection.execute(_insert, {"session_id": session_id, "kind": kind, "name": name, "sealed": sealed})


def _at(session_id: str, kind: str, name: str) -> dict[str, str]:
    return {"of_session_id": session_id, "of_kind": kind, "of_name": name}
