"""The `audit` commands: what an auditor asks of the ledger, beside a running service or without one."""

import argparse
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import SQLAlchemyError

from kernel_gateway.audit import heads
from kernel_gateway.audit.events import Event
from kernel_gateway.audit.heads import Head
from kernel_gateway.audit.ledger import Ledger, last_link
from kernel_gateway.audit.seal import Seal
from kernel_gateway.audit.verify import Report, newest_fault
from kernel_gateway.audit.verify import verify as verified
from kernel_gateway.errors import ConfigError
from kernel_gateway.settings import Settings
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys

UNCHECKED = "whether the newest records were removed was not checked: give the last exported head with --head FILE"


async def verify(settings: Settings, options: argparse.Namespace) -> int:
    """Exit 1 where a record is not as it was written."""
    async with _database(settings, read_only=True) as (database, seal):
        exported = _exported(options.head, seal) if options.head else None
        report = await database.run(lambda connection: verified(_with_ledger(connection), seal, exported))
    print(json.dumps(report.json()) if options.json else _told(report))
    return 0 if report.fault is None else 1


async def head(settings: Settings, options: argparse.Namespace) -> int:
    """To be kept where nobody who can write the ledger can change it. Exit 1 where there is nothing sound to sign."""
    async with _database(settings, read_only=True) as (database, seal):
        if options.public_key:
            key = seal.signing.public_key()
            print(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), end="")
        else:
            signed = await database.run(lambda connection: _sound_head(_with_ledger(connection), seal))
            print(signed.json())
    return 0


async def erase(settings: Settings, options: argparse.Namespace) -> int:
    """Exit 1 where traces may remain, because another process reads the database just now."""
    person = Event(organisation=options.org, subject=options.subject)  # as it would have been recorded
    async with _database(settings) as (database, seal):
        ledger = Ledger(seal, settings.audit)

        def forget(connection: Connection) -> int:
            ledger.prepare(connection)
            return ledger.erase(connection, person.organisation, person.subject, time.time())[1]

        count = await database.run(forget)
        gone = await database.forget(patient=True)
    if not gone:
        raise ConfigError("the name may still be in the database's log, which another process reads; run this again")
    print(f"erased from {_counted(count, 'segment')}: the ledger does not say any more who that was")
    return 0


def _told(report: Report) -> str:
    if report.fault is not None:
        return f"record {report.fault.seq}: {report.fault.what}"
    found = f"records {report.first} to {report.last}" if report.last else "there is no record"
    lines = [f"ok: {found}; {_counted(report.segments, 'segment')}, {_counted(report.heads, 'signed head')}"]
    return "\n".join(lines if report.truncation_checked else [*lines, UNCHECKED])


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _exported(path: Path, seal: Seal) -> Head:
    try:
        exported = heads.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the head `{path}`: {type(error).__name__}; name another file") from None
    if not exported.is_signed_by(seal.signing.public_key()):
        raise ConfigError(f"the head `{path}` is not signed by this ledger; give one that it exported")
    return exported


def _sound_head(connection: Connection, seal: Seal) -> Head:
    if (fault := newest_fault(connection, seal)) is not None:
        raise ConfigError(f"nothing is signed, for record {fault.seq} is not sound: {fault.what}")
    return heads.sign(seal.signing, last_link(connection), time.time())


def _with_ledger(connection: Connection) -> Connection:
    if not inspect(connection).has_table("event_heads"):
        raise ConfigError("there is no ledger in this database yet; it comes with the first start of the service")
    return connection


@asynccontextmanager
async def _database(settings: Settings, *, read_only: bool = False) -> AsyncIterator[tuple[Database, Seal]]:
    store = settings.store
    if isinstance(store.database, Path) and not store.database.exists():
        raise ConfigError(f"there is no ledger at `{store.database}`; name the service's folder in `store.folder`")
    database = Database(store.database, busy_timeout_seconds=store.busy_timeout_seconds, read_only=read_only)
    try:
        yield database, Seal.of(Keys(store.folder))
    except SQLAlchemyError as error:
        raise ConfigError(f"the database cannot be read ({type(error).__name__}): look at `store.folder`") from None
    finally:
        await database.close()
