"""Whether a stored checkpoint is the one that it should be, and what is in it. Each function is given a transaction."""

import hmac
import zlib
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection

from kernel_gateway.errors import GatewayError
from kernel_gateway.store import checkpoint_rows as rows
from kernel_gateway.store.chunk_reading import Sealed
from kernel_gateway.store.commits import Anchor, Commit, Mark, OutdatedError
from kernel_gateway.store.sealing import damaged
from kernel_gateway.store.session_keys import SessionKey


def commit_of(row: Any) -> Commit | None:
    return None if row is None else Commit(row.seq, row.digest, row.written, row.cell, row.epoch)


def refuse_older(connection: Connection, key: SessionKey, expected: Anchor | None) -> None:
    """A newer one than expected is sound: the gateway died between its commit and the ledger's."""
    if expected is None:
        return
    newest = rows.newest(connection, key.session_id)
    if newest is None or newest.seq < expected.seq:
        message = "an older checkpoint lies where the newest was; restore the data from the newest backup"
        raise GatewayError("internal", message)
    row = rows.checkpoint(connection, key.session_id, expected.seq)
    if row is not None:
        _manifest(key, row)
        if not hmac.compare_digest(row.digest, expected.digest):
            message = "the checkpoint is not the one that the ledger names; restore both from one backup"
            raise GatewayError("internal", message)


def authentic(connection: Connection, key: SessionKey, commit: Commit, mark: Mark) -> bytes:
    """The manifest of `commit`."""
    row = rows.checkpoint(connection, key.session_id, commit.seq)
    if row is None:
        raise GatewayError("not_found", "the checkpoint is not kept any more")
    if not hmac.compare_digest(row.digest, commit.digest):
        raise GatewayError("internal", "another checkpoint lies where the wanted one was")
    manifest = _manifest(key, row)
    for what, stored, present in (("image", row.image, mark.image), ("catalog", row.catalog, mark.catalog)):
        if stored != present:
            raise OutdatedError(what)
    return manifest


def sealed_chunks(connection: Connection, key: SessionKey, names: Collection[str]) -> dict[str, Sealed]:
    """By the sandbox's names. Raises GatewayError `invalid` for one that the session does not hold."""
    references = rows.references_to(connection, key.session_id, names)
    if unknown := set(names) - references.keys():
        raise unknown_chunks(len(unknown))
    stored = rows.stored_chunks(connection, {each.chunk_id for each in references.values()})
    if any(each.chunk_id not in stored for each in references.values()):
        raise GatewayError("not_found", "a part of the checkpoint is gone from the database")
    found = {}
    for name, each in references.items():
        chunk_key = key.chunk_key(name, each.chunk_id, each.wrapped)
        found[name] = Sealed(stored[each.chunk_id], chunk_key, key.organisation)
    return found


def unknown_chunks(count: int) -> GatewayError:
    return GatewayError("invalid", f"the manifest names {count} chunks that the session does not hold; send them")


def _manifest(key: SessionKey, row: Any) -> bytes:
    belongs_to = key.checkpoint(row)
    try:
        manifest = zlib.decompress(key.box.open(row.sealed, belongs_to))
    except zlib.error:
        raise damaged() from None
    if not hmac.compare_digest(key.digest(manifest, belongs_to), row.digest):
        raise damaged()
    return manifest
