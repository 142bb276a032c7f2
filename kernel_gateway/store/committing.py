"""What a commit or a fork writes. Each method that is given a transaction does its whole work in it, or raises."""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

from sqlalchemy import Connection

from kernel_gateway.errors import GatewayError
from kernel_gateway.store import checkpoint_rows as rows
from kernel_gateway.store import chunks
from kernel_gateway.store.checkpoint_rows import Held, Reference
from kernel_gateway.store.chunk_files import ChunkFiles
from kernel_gateway.store.chunks import Chunk, Stored
from kernel_gateway.store.commits import Commit, Mark
from kernel_gateway.store.opening import authentic, commit_of, unknown_chunks
from kernel_gateway.store.retention import kept_from
from kernel_gateway.store.session_keys import SessionKey, SessionKeys
from kernel_gateway.store.settings import CheckpointSettings

AT_ONCE_BYTES = 64 * 1024  # of a commit: less takes the transaction's own thread under 1 ms
_ROW_BYTES = 64 * 1024  # of a chunk: SQLite reads larger values more slowly than a file system does
_ROWS_BYTES = 512 * 1024  # of the rows that one thread makes of a commit, so that no transaction is long


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the sandbox handed out, checked."""

    manifest: bytes
    names: frozenset[str]
    chunks: Mapping[str, Chunk]
    size: int

    @classmethod
    def of(cls, manifest: bytes, new: Mapping[str, bytes | memoryview], settings: CheckpointSettings) -> "Arrival":
        """Raises GatewayError `invalid` or `limited`."""
        refuse_long(manifest, settings)
        names = chunks.names_in(manifest)
        if len(names) > settings.max_chunks:
            raise _too_much(f"the manifest names {len(names)} chunks; at most {settings.max_chunks} are kept")
        checked = {name: Chunk.arriving(name, data) for name, data in new.items()}
        wanted = {name: chunk for name, chunk in checked.items() if name in names}
        return cls(manifest, names, wanted, len(manifest) + sum(map(len, new.values())))


@dataclass(frozen=True, slots=True)
class Done:
    """`let_go` are the files that the store needs no more, `taken` those of `made` that it needs now."""

    commit: Commit
    organisation_key: bytes = b""
    let_go: Sequence[str] = ()
    taken: frozenset[str] = field(default_factory=frozenset)


Made = dict[str, tuple[Stored, bytes]]  # by the sandbox's name, with the key; bodies that are files are written


class AgainError(Exception):
    """What was to be shared is gone: a session was deleted meanwhile. Nothing was done."""


class Committing:
    def __init__(
        self, keys: SessionKeys, files: ChunkFiles, settings: CheckpointSettings, random: Callable[[int], bytes]
    ) -> None:
        self._keys, self._files, self._settings, self._random = keys, files, settings, random

    def __repr__(self) -> str:
        return "<Committing>"

    def missing(
        self, connection: Connection, mark: Mark, arrival: Arrival, made: Made
    ) -> tuple[bytes, list[tuple[Chunk, str]]]:
        """The organisation's key; chunks and addresses of what neither the store nor `made` holds.

        Raises GatewayError `not_found` where the session was deleted.
        """
        self._keys.refuse_deleted(connection, mark)
        key = self._keys.of_organisation(connection, mark.organisation)
        held = rows.references_to(connection, mark.session_id, arrival.chunks)
        wanted = {chunk.address(key): chunk for name, chunk in arrival.chunks.items() if name not in held}
        shared = self._shared(connection, wanted)
        return key, [
            (chunk, address) for address, chunk in wanted.items() if address not in shared and chunk.name not in made
        ]

    def make(self, organisation: str, wanted: Iterable[tuple[Chunk, str]], made: Made) -> None:
        """Encrypts chunks into `made`, and writes the files of large ones. For a thread."""
        room = _ROWS_BYTES
        for chunk, address in wanted:
            stored, key = chunks.seal(chunk, address, organisation, self._random)
            if stored.stored > min(_ROW_BYTES, room):
                self._files.write(stored.chunk_id, stored.body or b"")
                stored = replace(stored, body=None)
            else:
                room -= stored.stored
            made[chunk.name] = (stored, key)

    def commit(self, connection: Connection, mark: Mark, arrival: Arrival, made: Made, cell: int) -> Done:
        """Raises AgainError where `made` lacks what cannot be made here."""
        organisation_key = self._keys.of_organisation(connection, mark.organisation)
        is_new = rows.session(connection, mark.session_id) is None
        key = self._keys.make(connection, mark) if is_new else self._keys.require(connection, mark)
        held = Held.of(connection, mark.session_id, arrival.names)
        if (same := _same(key, held, mark, arrival.manifest, cell)) is not None:
            return Done(same, organisation_key)
        if unknown := arrival.names - arrival.chunks.keys() - held.references.keys():
            raise unknown_chunks(len(unknown))
        wanted = {
            chunk.address(organisation_key): chunk
            for name, chunk in arrival.chunks.items()
            if name not in held.references
        }
        shared = self._shared(connection, wanted)
        missing = {address: chunk for address, chunk in wanted.items() if address not in shared}
        own = {name: each for name, each in made.items() if each[0].address in missing}
        for address, chunk in missing.items():
            if chunk.name not in own:
                if arrival.size > AT_ONCE_BYTES:
                    raise AgainError
                own[chunk.name] = chunks.seal(chunk, address, mark.organisation, self._random)
        rows.add_chunks(connection, [stored for stored, _ in own.values()])
        references = [
            key.refer(stored.chunk_id, name, stored.stored, chunk_key) for name, (stored, chunk_key) in own.items()
        ]
        for address, (chunk_id, size, chunk_key) in shared.items():
            references.append(key.refer(chunk_id, wanted[address].name, size, chunk_key))
        shared_bytes = sum(size for _, size, _ in shared.values())
        commit, let_go = self._write(
            connection, key, mark, arrival.manifest, arrival.names, cell, held, references, shared_bytes
        )
        self._refuse_full(connection, shared_bytes)
        return Done(commit, organisation_key, let_go, frozenset(files_of(own)))

    def fork(self, connection: Connection, parent: Mark, commit: Commit, child: Mark) -> Done:
        """Within one session, what came after `commit` is no part of the present branch any more."""
        if (parent.organisation, parent.lineage) != (child.organisation, child.lineage):
            raise GatewayError("invalid", "a fork stays in its parent's organisation and lineage")
        key = self._keys.require(connection, parent)
        manifest = authentic(connection, key, commit, parent)
        names = chunks.names_in(manifest)
        of_parent = rows.references_to(connection, parent.session_id, names)
        if unknown := names - of_parent.keys():
            raise unknown_chunks(len(unknown))
        references: list[Reference] = []
        is_itself = child.session_id == parent.session_id
        if not is_itself and rows.session(connection, child.session_id) is not None:
            raise GatewayError("conflict", "the fork has checkpoints already; give it another id")
        if not is_itself:
            own = self._keys.make(connection, child)
            for each in of_parent.values():
                chunk_key = key.chunk_key(each.name, each.chunk_id, each.wrapped)
                references.append(own.refer(each.chunk_id, each.name, each.stored, chunk_key))
            key = own
        held = Held.of(connection, child.session_id, names)
        shared_bytes = sum(each.stored for each in references)
        forked, let_go = self._write(
            connection, key, child, manifest, names, commit.cell, held, references, shared_bytes
        )
        self._refuse_full(connection, 0)
        if is_itself:
            rows.leave_branch(connection, child.session_id, commit.seq, forked.seq)
        return Done(forked, let_go=let_go)

    def restart(self, connection: Connection, before: Mark, after: Mark, empty: Arrival) -> Done:
        """`empty` after cell 0 as the session's newest; no other checkpoint is part of the present branch any more."""
        if replace(before, epoch=after.epoch) != after:
            raise GatewayError("invalid", "a session begins again as itself")
        done = self.commit(connection, after, empty, {}, 0)
        rows.leave_branch(connection, after.session_id, 0, done.commit.seq)
        return done

    def _shared(self, connection: Connection, addresses: Iterable[str]) -> dict[str, tuple[str, int, bytes]]:
        """By address: id, stored bytes and key of a chunk that some session of the organisation holds."""
        shared = {}
        found = rows.at_addresses(connection, addresses)
        holders = rows.holders(connection, {chunk_id for chunk_id, _ in found.values()})
        for address, (chunk_id, stored) in found.items():
            # where the holder was damaged, its chunks are not given to others
            with suppress(GatewayError, KeyError):
                holder = holders[chunk_id]
                key = self._keys.open(holder).chunk_key(holder.name, chunk_id, holder.chunk_key)
                shared[address] = (chunk_id, stored, key)
        return shared

    def _write(
        self,
        connection: Connection,
        key: SessionKey,
        mark: Mark,
        manifest: bytes,
        names: frozenset[str],
        cell: int,
        held: Held,
        references: Sequence[Reference],
        shared_bytes: int,
    ) -> tuple[Commit, list[str]]:
        """The checkpoint after those that are `held`; the files that nothing needs any more.

        `references` are new, and `shared_bytes` of theirs are on the disk already.
        """
        seq = held.newest.seq + 1 if held.newest is not None else 1
        which = {"epoch": mark.epoch, "seq": seq, "cell": cell, "image": mark.image, "catalog": mark.catalog}
        belongs_to = key.checkpoint(SimpleNamespace(**which))
        sealed = key.box.seal(zlib.compress(manifest, 1), belongs_to)
        referred = sum(each.stored for each in references) + len(sealed)
        commit = Commit(seq, key.digest(manifest, belongs_to), referred, cell, mark.epoch)
        rows.note_use(connection, mark.session_id, held, names, seq)
        rows.add_references(connection, mark.session_id, references)
        row = which | {"session_id": mark.session_id, "digest": commit.digest, "written": commit.written_bytes}
        rows.add_checkpoint(connection, row | {"present": True, "sealed": sealed, "size": len(sealed)})
        rows.grow(connection, mark.session_id, mark.organisation, referred - shared_bytes, referred)
        return commit, self._trim(connection, mark)

    def _refuse_full(self, connection: Connection, shared_bytes: int) -> None:
        """What a commit shares counts as if it did not: a refusal tells nothing of other sessions either."""
        if rows.stored_bytes(connection) + shared_bytes > self._settings.max_bytes:
            raise _too_much(f"all checkpoints together may have {self._settings.max_bytes} bytes; delete sessions")

    def _trim(self, connection: Connection, mark: Mark) -> list[str]:
        """Drops the session's oldest checkpoints where it has too many or too large ones: files that can go.

        A tenth at once where that can be, so that not every commit has to.
        """
        most, most_bytes = self._settings.max_per_session, self._settings.max_session_bytes
        session = rows.session(connection, mark.session_id)
        first: int | None = 0
        if session is not None and session.stored > most_bytes:
            sizes, uses = rows.sizes(connection, mark.session_id)
            first = kept_from(sizes, uses, most, most_bytes * 9 // 10) or kept_from(sizes, uses, most, most_bytes)
        elif session is not None and session.kept > most:
            first = rows.oldest_of(connection, mark.session_id, most - most // 10)
        if first is None:
            message = f"the session's state has more than the {most_bytes} bytes that are kept; drop some variables"
            raise _too_much(message)
        return rows.drop_before(connection, mark.session_id, mark.organisation, first) if first else []


def refuse_long(manifest: bytes, settings: CheckpointSettings) -> None:
    """Raises GatewayError `limited`."""
    if len(manifest) > settings.max_manifest_bytes:
        raise _too_much(f"the manifest has {len(manifest)} bytes; at most {settings.max_manifest_bytes} are kept")


def files_of(made: Made) -> list[str]:
    return [stored.chunk_id for stored, _ in made.values() if stored.body is None]


def _same(key: SessionKey, held: Held, mark: Mark, manifest: bytes, cell: int) -> Commit | None:
    """The newest, where it is just this: the caller did not learn that it was committed."""
    newest = held.newest
    if newest is None or (newest.epoch, newest.image, newest.catalog, newest.cell) != (
        mark.epoch,
        mark.image,
        mark.catalog,
        cell,
    ):
        return None
    return commit_of(newest) if key.digest(manifest, key.checkpoint(newest)) == newest.digest else None


def _too_much(message: str) -> GatewayError:
    return GatewayError("limited", message)
