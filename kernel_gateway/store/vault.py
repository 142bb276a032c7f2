"""Values of a session, encrypted at rest and gone for good with their session.

AES-256-GCM. Each session has a key of its own, stored wrapped by the installation's key `vault`, which lives outside
the database (keys.py): the database alone, or a backup of it, opens nothing. What a row belongs to is authenticated
with it, so that no row can be moved to another session, kind or name. Without its key a session's values are noise.
"""

import json
import secrets
from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
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

from kernel_gateway.errors import GatewayError
from kernel_gateway.store.database import Database, NotNowError
from kernel_gateway.store.keys import SECRET_BYTES

_NONCE_BYTES = 12  # GCM's own size. Random ones are safe for 2**32 values of one key (NIST SP 800-38D, 8.3)

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


class Secrets(Protocol):
    """The installation's keys: store.keys.Keys."""

    def secret(self, name: str) -> bytes: ...


class Vault:
    """`random(n)` gives n random bytes. Raises GatewayError `internal` where a value was damaged or moved."""

    def __init__(self, database: Database, keys: Secrets, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._database, self._keys, self._random = database, keys, random
        self._has_tables = False
        self._committed: dict[str, bytes] = {}  # keys of sessions, for `sealed`

    def __repr__(self) -> str:
        return f"<Vault in {self._database!r}>"

    async def prepare(self) -> None:
        """Makes the tables. Needed before `write` and `read` only: the others see to it. Raises ConfigError where the
        installation's key cannot be used."""
        if not self._has_tables:
            self._keys.secret("vault")
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
            key = self._key(connection, session_id)
            rows = connection.execute(_select_kind, {"of_session_id": session_id, "of_kind": kind}).all()
            return {} if key is None else {name: _open(key, sealed, (session_id, kind, name)) for name, sealed in rows}

        return await self._database.run(read)

    async def names(self, session_id: str, kind: str) -> list[str]:
        """In alphabetical order."""
        await self.prepare()
        where = (_values.c.session_id == session_id, _values.c.kind == kind)
        statement = select(_values.c.name).where(*where).order_by(_values.c.name)
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
        key = self._key(connection, session_id)
        if key is None:
            key = self._random(SECRET_BYTES)
            wrapped = self._seal(self._keys.secret("vault"), key, (session_id,))
            connection.execute(_insert_key, {"session_id": session_id, "wrapped": wrapped})
        sealed = self._seal(key, plaintext, (session_id, kind, name))
        if not connection.execute(_update, {**_at(session_id, kind, name), "to": sealed}).rowcount:
            row = {"session_id": session_id, "kind": kind, "name": name, "sealed": sealed}
            connection.execute(_insert, row)

    def sealed(self, session_id: str, kind: str, name: str, plaintext: bytes) -> Write:
        """What stores a value under a name that is not there, in a transaction of somebody else's: one statement, once
        the session has a key."""
        if (key := self._committed.get(session_id)) is None:
            try:
                key = self._database.at_once(lambda connection: self._key(connection, session_id))
            except NotNowError:
                key = None
            if key is None:
                return lambda connection: self.write(connection, session_id, kind, name, plaintext)
            self._committed[session_id] = key
        sealed = self._seal(key, plaintext, (session_id, kind, name))
        row = {"session_id": session_id, "kind": kind, "name": name, "sealed": sealed}
        return lambda connection: connection.execute(_insert, row)

    def read(self, connection: Connection, session_id: str, kind: str, name: str) -> bytes | None:
        """As `get`, inside a transaction of somebody else's."""
        sealed = connection.execute(_select, _at(session_id, kind, name)).scalar()
        key = None if sealed is None else self._key(connection, session_id)
        return None if sealed is None or key is None else _open(key, sealed, (session_id, kind, name))

    def _key(self, connection: Connection, session_id: str) -> bytes | None:
        wrapped = connection.execute(_select_key, {"of_session_id": session_id}).scalar()
        return None if wrapped is None else _open(self._keys.secret("vault"), wrapped, (session_id,))

    def _seal(self, key: bytes, plaintext: bytes, belongs_to: tuple[str, ...]) -> bytes:
        nonce = self._random(_NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, plaintext, _written(belongs_to))


def _open(key: bytes, sealed: bytes, belongs_to: tuple[str, ...]) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _written(belongs_to))
    except (InvalidTag, ValueError):
        message = "a stored value was damaged or moved, or the key `vault` is another; restore both from one backup"
        raise GatewayError("internal", message) from None


def _written(belongs_to: tuple[str, ...]) -> bytes:
    """A JSON list has one reading, whatever characters the parts hold."""
    return json.dumps(belongs_to).encode()


def _at(session_id: str, kind: str, name: str) -> dict[str, str]:
    return {"of_session_id": session_id, "of_kind": kind, "of_name": name}
