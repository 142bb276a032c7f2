"""The installation's key `vault`, which wraps the keys of sessions, and its change for another.

While it is being changed there are two: `vault` and `vault-next`. Either may have wrapped a key that is stored, so both
are tried; once everything is wrapped by the next one, it takes the other's place in one step of the file system.
"""

import secrets
from collections.abc import Callable
from typing import Protocol

from sqlalchemy import Connection, Table, and_, bindparam, select, update

from kernel_gateway.errors import GatewayError
from kernel_gateway.store.keys import SECRET_BYTES
from kernel_gateway.store.sealing import BelongsTo, Box

KEY, NEXT_KEY = "vault", "vault-next"


class Secrets(Protocol):
    """The installation's keys: store.keys.Keys."""

    def secret(self, name: str) -> bytes: ...

    def has(self, name: str) -> bool: ...


class Wrapping:
    """`random(n)` gives n random bytes."""

    def __init__(self, keys: Secrets, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._keys, self._random = keys, random

    def __repr__(self) -> str:
        return "<Wrapping>"

    def prepare(self) -> None:
        """Raises ConfigError where the installation's key cannot be used."""
        self._keys.secret(KEY)

    def box(self, key: bytes) -> Box:
        return Box(key, self._random)

    def new(self, belongs_to: BelongsTo) -> tuple[bytes, bytes]:
        """A key, and what is stored of it."""
        key = self._random(SECRET_BYTES)
        return key, self._box(KEY).seal(key, belongs_to)

    def unwrap(self, wrapped: bytes, belongs_to: BelongsTo) -> bytes:
        """Raises GatewayError `internal` where neither key wrapped this."""
        try:
            return self._box(KEY).open(wrapped, belongs_to)
        except GatewayError:
            if not self._keys.has(NEXT_KEY):
                raise
            return self._box(NEXT_KEY).open(wrapped, belongs_to)

    def rewrap(self, connection: Connection, table: Table, belongs_to: Callable[[dict[str, str]], BelongsTo]) -> int:
        """Wraps the `wrapped` of every row of `table` by the next key, and says how many those are.

        `belongs_to` says it of a row's other columns.
        """
        key_columns = list(table.primary_key.columns)
        where = and_(*(column == bindparam(f"of_{column.name}") for column in key_columns))
        change = update(table).where(where).values(wrapped=bindparam("to"))
        rows = connection.execute(select(table)).mappings().all()
        for row in rows:
            key = self.unwrap(row["wrapped"], belongs_to(dict(row)))
            wrapped = self._box(NEXT_KEY).seal(key, belongs_to(dict(row)))
            connection.execute(change, {f"of_{each.name}": row[each.name] for each in key_columns} | {"to": wrapped})
        return len(rows)

    def _box(self, name: str) -> Box:
        return self.box(self._keys.secret(name))
