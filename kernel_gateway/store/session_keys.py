"""The keys of checkpoints: one for the addresses of an organisation's chunks, and one for each session.

Stored wrapped by the installation's key; unwrapped ones of sessions that are in use stay in memory.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.engine import Row

from kernel_gateway.errors import GatewayError
from kernel_gateway.store import checkpoint_rows as rows
from kernel_gateway.store.checkpoint_rows import Reference
from kernel_gateway.store.checkpoint_tables import organisations, sessions
from kernel_gateway.store.commits import Mark
from kernel_gateway.store.sealing import BelongsTo, Box, written
from kernel_gateway.store.wrapping import Wrapping

_insert_session = insert(sessions)
_MAX_OPEN = 1_000  # sessions whose key stays in memory; the oldest goes first, and costs 10 us when it comes back


@dataclass(frozen=True, slots=True)
class SessionKey:
    """What a session's key seals: manifests, and the keys of its chunks."""

    organisation: str
    lineage: str
    session_id: str
    wrapped: bytes
    box: Box
    _of_digests: bytes

    def digest(self, manifest: bytes, belongs_to: BelongsTo) -> str:
        """64 hex digits that mean nothing once the session's key is gone."""
        said = written(belongs_to)
        content = len(said).to_bytes(8, "big") + said + manifest
        return hmac.digest(self._of_digests, content, hashlib.sha256).hex()

    def checkpoint(self, row: Any) -> BelongsTo:
        """`row` has the columns of a checkpoint."""
        which = (row.epoch, row.seq, row.cell, row.image, row.catalog)
        return ("checkpoint", self.organisation, self.lineage, self.session_id, *which)

    def refer(self, chunk_id: str, name: str, stored: int, chunk_key: bytes) -> Reference:
        return Reference(name, None, stored, chunk_id, self.box.seal(chunk_key, self._chunk(name, chunk_id)))

    def chunk_key(self, name: str, chunk_id: str, wrapped: bytes) -> bytes:
        """Raises GatewayError `internal`."""
        return self.box.open(wrapped, self._chunk(name, chunk_id))

    def _chunk(self, name: str, chunk_id: str) -> BelongsTo:
        return ("chunk key", self.organisation, self.lineage, self.session_id, name, chunk_id)


class SessionKeys:
    def __init__(self, wrapping: Wrapping) -> None:
        self._wrapping = wrapping
        self._organisations: dict[str, bytes] = {}
        self._open: dict[str, SessionKey] = {}

    def __repr__(self) -> str:
        return f"<SessionKeys {len(self._open)} open>"

    def of_organisation(self, connection: Connection, organisation: str) -> bytes:
        """Made where there is none, and then for good once the transaction is committed: see `keep`."""
        if (kept := self._organisations.get(organisation)) is not None:
            return kept
        wrapped = connection.execute(
            select(organisations.c.wrapped).where(organisations.c.organisation == organisation)
        ).scalar()
        if wrapped is not None:
            return self._wrapping.unwrap(wrapped, ("organisation", organisation))
        key, wrapped = self._wrapping.new(("organisation", organisation))
        connection.execute(insert(organisations), {"organisation": organisation, "wrapped": wrapped, "stored": 0})
        return key

    def keep(self, organisation: str, key: bytes) -> None:
        self._organisations[organisation] = key

    def open(self, row: Row[Any]) -> SessionKey:
        """Of a row of sessions. Raises GatewayError `internal` where it was damaged or moved."""
        found = self._open.get(row.session_id)
        if found is not None and (found.wrapped, found.organisation, found.lineage) == (
            row.wrapped,
            row.organisation,
            row.lineage,
        ):
            return found
        belongs_to = ("session", row.organisation, row.lineage, row.session_id)
        key = self._wrapping.unwrap(row.wrapped, belongs_to)
        return self._remember(row.organisation, row.lineage, row.session_id, row.wrapped, key)

    def require(self, connection: Connection, mark: Mark) -> SessionKey:
        """Raises GatewayError `not_found` where the session has no checkpoints, or is not what `mark` says."""
        row = rows.session(connection, mark.session_id)
        if row is None:
            raise GatewayError("not_found", "the session has no checkpoint")
        if row.organisation != mark.organisation:
            raise GatewayError("not_found", "the checkpoint belongs to another organisation")
        if row.lineage != mark.lineage:
            raise GatewayError("not_found", "the checkpoint belongs to a session of another origin")
        return self.open(row)

    def make(self, connection: Connection, mark: Mark) -> SessionKey:
        """Raises GatewayError `not_found` where the session was deleted: its id never comes back."""
        self.refuse_deleted(connection, mark)
        belongs_to = ("session", mark.organisation, mark.lineage, mark.session_id)
        key, wrapped = self._wrapping.new(belongs_to)
        row = {"session_id": mark.session_id, "organisation": mark.organisation, "lineage": mark.lineage}
        connection.execute(_insert_session, {**row, "wrapped": wrapped, "kept": 0, "stored": 0})
        return self._remember(mark.organisation, mark.lineage, mark.session_id, wrapped, key)

    def refuse_deleted(self, connection: Connection, mark: Mark) -> None:
        if rows.was_deleted(connection, mark.session_id):
            raise GatewayError("not_found", "the session was deleted")

    def forget(self, session_id: str) -> None:
        self._open.pop(session_id, None)

    def rewrap(self, connection: Connection) -> int:
        """Every key by the next installation's key: how many."""
        done = self._wrapping.rewrap(connection, organisations, lambda row: ("organisation", row["organisation"]))
        return done + self._wrapping.rewrap(
            connection, sessions, lambda row: ("session", row["organisation"], row["lineage"], row["session_id"])
        )

    def _remember(self, organisation: str, lineage: str, session_id: str, wrapped: bytes, key: bytes) -> SessionKey:
        of_digests = hmac.digest(key, b"digests", hashlib.sha256)
        opened = SessionKey(organisation, lineage, session_id, wrapped, self._wrapping.box(key), of_digests)
        self._open.pop(session_id, None)
        self._open[session_id] = opened
        if len(self._open) > _MAX_OPEN:
            del self._open[next(iter(self._open))]
        return opened
