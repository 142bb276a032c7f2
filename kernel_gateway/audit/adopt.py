"""Takes the records of a version without a chain into the ledger: chained from now on, and people under pseudonyms."""

import json
from functools import partial
from typing import Any

from sqlalchemy import Connection, MetaData, Table, inspect, select

from kernel_gateway.audit.appending import Appending, Naming
from kernel_gateway.audit.events import LedgerAdopted, canonical
from kernel_gateway.audit.seal import Seal
from kernel_gateway.errors import ConfigError

_SET_ASIDE = "events_without_chain"
_PEOPLE = ("subject", "client")  # that those versions wrote


def set_aside(connection: Connection, seal: Seal) -> Table | None:
    """Makes room for the ledger's table, or says None where there is nothing to take over.

    Raises ConfigError where the ledger's key is older than this start: then there was a ledger, and somebody else put
    these records into its place.
    """
    inspector = inspect(connection)
    if not inspector.has_table("events") or "mac" in {column["name"] for column in inspector.get_columns("events")}:
        return None
    if not seal.is_new:
        raise ConfigError(
            "the records in the database have no chain, but there has been a ledger: restore the database; if this is"
            " the first start of this version, remove `keys/ledger.key` from `store.folder`"
        )
    connection.exec_driver_sql("DROP INDEX events_of_session")
    connection.exec_driver_sql(f"ALTER TABLE events RENAME TO {_SET_ASIDE}")
    return Table(_SET_ASIDE, MetaData(), autoload_with=connection)


def take_over(connection: Connection, old: Table, appending: Appending) -> None:
    """In the same order, signed; a record says how many they were, and the old table goes."""
    count, at = 0, 0.0
    for row in connection.execute(select(old).order_by(old.c.seq)):
        values = json.loads(row.body)
        appending.write(row.at, row.kind, row.session_id, row.organisation, partial(_renamed, values))
        count, at = count + 1, row.at
    appending.add(at, LedgerAdopted(records=count))
    appending.sign(at)
    old.drop(connection)


def _renamed(values: dict[str, Any], naming: Naming) -> str:
    people = {name: naming(values[name]) for name in _PEOPLE if values.get(name)}
    return canonical(values | people)
