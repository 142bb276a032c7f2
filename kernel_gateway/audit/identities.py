"""Pseudonyms: a record names a person by an alias, and one row, which can be deleted, says who that is.

An alias commits to the name with a random salt that lies in that row: while it is there, nobody can put another name
into it; once it is gone, the alias says nothing. Aliases last for a segment, and the record of an erasure names none
that anybody without the ledger's key knows again: of several people who were erased, nobody else can put together the
days of one.
"""

import hmac
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from kernel_gateway.audit.tables import identities

MARK = "~"  # begins an alias, and no other value of any event (bounds.py)
ERASED = "<erased>"
_IN_BODY = re.compile(rf'"{MARK}([0-9a-f]{{32}})"')
_AT_ONCE = 500  # names in one statement: SQLite takes 32,766, older ones 999


def alias_of(salt: str, organisation: str, name: str) -> str:
    committed = json.dumps([organisation, name]).encode()
    return MARK + hmac.digest(bytes.fromhex(salt), committed, "sha256").hex()[:32]


def aliases_in(body: str) -> list[str]:
    return [MARK + each for each in _IN_BODY.findall(body)]


def obtain(connection: Connection, segment: int, organisation: str, name: str, salt: str) -> str:
    """The person's alias in this segment; `salt`, 32 hex characters, makes the alias where there is none yet."""
    columns = identities.c
    of_person = (columns.organisation == organisation, columns.name == name, columns.segment == segment)
    known = connection.execute(select(columns.alias).where(*of_person)).scalar()
    if known is not None:
        return str(known)
    alias = alias_of(salt, organisation, name)
    row = {"alias": alias, "segment": segment, "organisation": organisation, "name": name, "salt": salt}
    connection.execute(insert(identities), row)
    return alias


def names_of(connection: Connection, aliases: Iterable[str]) -> dict[str, str]:
    """Those that are not erased."""
    wanted, found = sorted(set(aliases)), dict[str, str]()
    for start in range(0, len(wanted), _AT_ONCE):
        some = identities.c.alias.in_(wanted[start : start + _AT_ONCE])
        rows = connection.execute(select(identities.c.alias, identities.c.name).where(some))
        found.update((row.alias, row.name) for row in rows)
    return found


def erase(connection: Connection, organisation: str, name: str) -> Sequence[str]:
    """Forgets who the person was, in every segment. Returns the aliases that nothing stands behind any more."""
    of_person = (identities.c.organisation == organisation, identities.c.name == name)
    aliases = connection.execute(select(identities.c.alias).where(*of_person)).scalars().all()
    connection.execute(delete(identities).where(*of_person))
    return aliases


def erasure(key: bytes, alias: str) -> str:
    """What the record of an erasure says of an alias: 64 hex characters."""
    return hmac.digest(key, f"erased {alias}".encode(), "sha256").hex()


@dataclass(frozen=True, slots=True)
class Person:
    """Whom an alias stands for in a segment, without saying who it is."""

    alias: str
    segment: int
    is_who_was_meant: bool


def everybody(connection: Connection) -> Iterator[Person]:
    columns = identities.c
    wanted = select(columns.alias, columns.segment, columns.salt, columns.organisation, columns.name)
    for alias, segment, *committed in connection.execute(wanted):
        yield Person(alias, segment, _is_of(alias, *committed))


def _is_of(alias: str, salt: str, organisation: str, name: str) -> bool:
    try:
        return alias == alias_of(salt, organisation, name)
    except ValueError:
        return False
