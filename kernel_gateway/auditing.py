"""The `audit` commands: what an auditor asks of the ledger, beside a running service or without one."""

import argparse
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
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
TOO_OLD = (
    "whether the newest records were removed was not checked: the head is of a record pruned since; give a newer one"
)
ADOPTED = "records up to {} were taken over from a version without a chain: nothing shows what they were before that"
SIGNED = "ok: signed by this key; it tells of record {} at {}"
NO_LEDGER = "there is no ledger in this database yet; it comes with the first start of the service"


async def verify(settings: Settings, options: argparse.Namespace) -> int:
    """Exit 1 where a record is not as it was written, or with `--public-key` where a head is not signed by it."""
    if options.public_key:
        return _signatures(options)
    async with _database(settings, read_only=True) as (database, seal):
        exported = _exported(options.head, seal.signing.public_key()) if options.head else []
        report = await database.run(lambda connection: verified(_with_ledger(connection), seal, exported))
    print(json.dumps(report.json()) if options.json else _told(report, exported))
    return 0 if report.fault is None else 1


def _signatures(options: argparse.Namespace) -> int:
    """Needs neither the ledger nor its keys."""
    if options.head is None:
        raise ConfigError("a public key checks a head: give its file with --head FILE")
    newest = max(_exported(options.head, _public_key(options.public_key)), key=lambda head: head.seq)
    at = datetime.fromtimestamp(newest.at, UTC).isoformat()
    print(json.dumps({"ok": True, "seq": newest.seq, "at": at}) if options.json else SIGNED.format(newest.seq, at))
    return 0


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


def _told(report: Report, exported: Sequence[Head]) -> str:
    if report.fault is not None:
        return f"record {report.fault.seq}: {report.fault.what}"
    found = f"records {report.first} to {report.last}" if report.last else "there is no record"
    lines = [f"ok: {found}; {_counted(report.segments, 'segment')}, {_counted(report.heads, 'signed head')}"]
    if report.adopted:
        lines.append(ADOPTED.format(report.adopted))
    if not report.truncation_checked:
        lines.append(TOO_OLD if exported else UNCHECKED)
    return "\n".join(lines)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _exported(path: Path, key: Ed25519PublicKey) -> list[Head]:
    """One, or all of an `audit.heads_file`: a line each. What a full disk cut short there is passed over."""
    lines = [line for line in _read(path, "head").splitlines() if line.strip()]
    exported = []
    for line in lines:
        with contextlib.suppress(ConfigError):
            exported.append(heads.parse(line))
    if not exported:
        heads.parse("")
    if not all(head.is_signed_by(key) for head in exported):
        raise ConfigError(f"the head `{path}` is not signed by this ledger; give one that it exported")
    return exported


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(_read(path, "public key").encode())
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"`{path}` is no public key; give what `kernel-gateway audit head --public-key` printed")
    return key


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the {what} `{path}`: {error.strerror}; name another file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read the {what} `{path}`: it is no text; name another file") from None


def _sound_head(connection: Connection, seal: Seal) -> Head:
    if (fault := newest_fault(connection, seal)) is not None:
        raise ConfigError(f"nothing is signed, for record {fault.seq} is not sound: {fault.what}")
    return heads.sign(seal.signing, last_link(connection), time.time())


def _with_ledger(connection: Connection) -> Connection:
    if not inspect(connection).has_table("event_heads"):
        raise ConfigError(NO_LEDGER)
    return connection


@asynccontextmanager
async def _database(settings: Settings, *, read_only: bool = False) -> AsyncIterator[tuple[Database, Seal]]:
    store = settings.store
    if isinstance(store.database, Path) and not store.database.exists():
        raise ConfigError(f"there is no ledger at `{store.database}`; name the service's folder in `store.folder`")
    keys = Keys(store.keys)
    if not keys.has("ledger"):  # made here, it would pass for a first start's
        raise ConfigError(NO_LEDGER)
    database = Database(store.database, busy_timeout_seconds=store.busy_timeout_seconds, read_only=read_only)
    try:
        yield database, Seal.of(keys)
    except SQLAlchemyError as error:
        raise ConfigError(f"the database cannot be read ({type(error).__name__}): look at `store.folder`") from None
    finally:
        await database.close()
