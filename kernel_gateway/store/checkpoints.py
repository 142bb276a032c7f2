"""Checkpoints of sessions, encrypted at rest and gone for good with their session.

The sandbox hands out a manifest and the chunks it names; nothing in them is believed or unpickled. AES-256-GCM: a chunk
has a key of its own, which lies wrapped by the key of every session that needs it; that one, and the manifests, are
authenticated with organisation, lineage, session, epoch, number, cell, image and catalog. So forks share chunks and a
deleted session is noise. Sessions of one organisation share equal chunks, organisations never: an address is keyed.

A commit is one transaction. Files of large chunks are there before it begins and go after their last reference.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, select

from kernel_gateway.errors import GatewayError
from kernel_gateway.store import checkpoint_rows as rows
from kernel_gateway.store import chunk_reading
from kernel_gateway.store.checkpoint_tables import metadata, sessions
from kernel_gateway.store.chunk_files import ChunkFiles
from kernel_gateway.store.chunk_reading import Sealed
from kernel_gateway.store.commits import Anchor, Commit, Mark
from kernel_gateway.store.committing import (
    AT_ONCE_BYTES,
    AgainError,
    Arrival,
    Committing,
    Done,
    Made,
    files_of,
    refuse_long,
)
from kernel_gateway.store.database import Database
from kernel_gateway.store.opening import authentic, commit_of, refuse_older, sealed_chunks
from kernel_gateway.store.session_keys import SessionKeys
from kernel_gateway.store.settings import CheckpointSettings
from kernel_gateway.store.threads import Threads
from kernel_gateway.store.wrapping import Secrets, Wrapping

AT_MOST_BYTES = 16 * 1024 * 1024  # in memory at once, for one who reads; more is written into a file
STRAY_SECONDS = 3600.0  # a commit takes seconds; a file nobody refers to after an hour was left by a death


class Checkpoints:
    """`random(n)` gives n random bytes, `clock` seconds since the epoch. One per gateway.

    Raises GatewayError: `invalid` for what a sandbox may not say, `limited` for more than is kept, `internal` where
    something stored was damaged, moved or put back, `not_found` where it is gone.
    """

    def __init__(
        self,
        database: Database,
        keys: Secrets,
        folder: Path,
        settings: CheckpointSettings | None = None,
        *,
        survives_power_loss: bool = False,
        random: Callable[[int], bytes] = secrets.token_bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database, self._clock = database, clock
        self._wrapping = Wrapping(keys, random)
        self._keys = SessionKeys(self._wrapping)
        self._files = ChunkFiles(folder, survives_power_loss=survives_power_loss)
        self._settings = settings or CheckpointSettings()
        self._committing = Committing(self._keys, self._files, self._settings, random)
        self._threads, self._readers = Threads("checkpoints"), Threads("restores")  # no restore waits for a commit
        self._is_prepared = False

    def __repr__(self) -> str:
        return f"<Checkpoints in {self._files!r}>"

    async def prepare(self) -> None:
        """Makes tables and folder, and removes what a death left. The others see to it. Raises ConfigError."""
        if not self._is_prepared:
            self._wrapping.prepare()
            self._files.prepare()
            await self._database.run(metadata.create_all)
            await self.remove_strays()
            self._is_prepared = True

    async def remove_strays(self, older_than_seconds: float = STRAY_SECONDS) -> int:
        """Removes the files that nothing refers to: how many."""
        before = self._clock() - older_than_seconds
        found = await self._threads.run(lambda: self._files.older(before))
        known = await self._database.run(lambda connection: rows.stored_chunks(connection, found))
        strays = found - known.keys()
        await self._threads.run(lambda: self._files.remove(strays))
        return len(strays)

    def refuse_long(self, manifest: bytes) -> None:
        """What would be refused as too long anyway, before anything reads it. Raises GatewayError `limited`."""
        refuse_long(manifest, self._settings)

    async def commit(self, mark: Mark, manifest: bytes, new: Mapping[str, bytes | memoryview], cell: int) -> Commit:
        """Stores the state after `cell`. The manifest may name chunks of `new`, and those that the session still holds.

        The same as the newest again is that one. Once begun it is done, also when the caller is cancelled; into a
        deleted session it is `not_found`.
        """
        await self.prepare()
        return await self._threads.to_the_end(self._commit(mark, manifest, new, cell), _commits_of(mark.session_id))

    async def _commit(self, mark: Mark, manifest: bytes, new: Mapping[str, bytes | memoryview], cell: int) -> Commit:
        def check() -> Arrival:
            return Arrival.of(manifest, new, self._settings)

        size = len(manifest) + sum(map(len, new.values()))
        arrival = check() if size <= AT_ONCE_BYTES else await self._threads.run(check)
        made: Made = {}
        try:
            done = await self._commit_with(mark, arrival, made, cell)
        except GatewayError:  # of anything else it is not sure that the transaction was rolled back
            await self._remove(files_of(made))
            raise
        self._keys.keep(mark.organisation, done.organisation_key)
        await self._remove([*done.let_go, *(set(files_of(made)) - done.taken)])
        return done.commit

    async def _commit_with(self, mark: Mark, arrival: Arrival, made: Made, cell: int) -> Done:
        """`made` gets what is made for it, also of what somebody else then made first."""

        def work(connection: Connection) -> Done:
            return self._committing.commit(connection, mark, arrival, made, cell)

        while True:
            if arrival.size > AT_ONCE_BYTES:
                await self._make(mark, arrival, made)
            with suppress(AgainError):
                return await self._database.run(work)

    async def _make(self, mark: Mark, arrival: Arrival, made: Made) -> None:
        key, missing = await self._database.run(
            lambda connection: self._committing.missing(connection, mark, arrival, made)
        )
        self._keys.keep(mark.organisation, key)
        await self._threads.share(lambda part: self._committing.make(mark.organisation, part, made), missing)

    async def latest(self, session_id: str) -> Commit | None:
        await self.prepare()
        return await self._database.run(lambda connection: commit_of(rows.newest(connection, session_id)))

    async def at(self, session_id: str, cell: int) -> Commit | None:
        """The newest of the present branch whose state is that after `cell`, or after one before."""
        await self.prepare()
        return await self._database.run(lambda connection: commit_of(rows.at_cell(connection, session_id, cell)))

    async def open(self, mark: Mark, commit: Commit, expected: Anchor | None) -> bytes:
        """The manifest. `expected`: the session's newest checkpoint that the ledger knows, None where it knows none,
        also because its records were pruned: then any sound one is opened.

        Raises GatewayError; OutdatedError where image or catalog are not those of `mark`.
        """
        await self.prepare()

        def work(connection: Connection) -> bytes:
            key = self._keys.require(connection, mark)
            refuse_older(connection, key, expected)
            return authentic(connection, key, commit, mark)

        return await self._database.run(work)

    async def read(self, mark: Mark, names: Sequence[str]) -> list[bytes]:
        """The chunks, in order. For a stream that is all in memory: `invalid` where it is longer than AT_MOST_BYTES."""
        found = await self._sealed(mark, names)
        if sum(found[name].stored.size for name in names) > AT_MOST_BYTES:
            raise GatewayError("invalid", "the manifest says less bytes than its chunks have")
        return await self._readers.run(lambda: chunk_reading.read(self._files, (found[name] for name in names)))

    async def read_into(self, mark: Mark, places: Sequence[tuple[str, int]], descriptor: int) -> None:
        """Writes (name, offset) into an open file, such as a memory file, which already has its size.

        `invalid` where a chunk reaches beyond its end, or all together are longer.
        The descriptor may be closed whenever this returns or raises.
        """
        found = await self._sealed(mark, dict(places))
        placed = [(found[name], offset) for name, offset in places]
        room = os.fstat(descriptor).st_size
        longer = sum(chunk.stored.size for chunk, _ in placed) > room
        if longer or any(not 0 <= offset <= room - chunk.stored.size for chunk, offset in placed):
            raise GatewayError("invalid", "the manifest says less bytes than its chunks have")
        await self._readers.to_the_end(self._write(placed, os.dup(descriptor)))

    async def _write(self, placed: Sequence[tuple[Sealed, int]], descriptor: int) -> None:
        try:
            await self._readers.share(lambda part: chunk_reading.write_at(self._files, part, descriptor), placed)
        finally:
            os.close(descriptor)

    async def _sealed(self, mark: Mark, names: Iterable[str]) -> dict[str, Sealed]:
        await self.prepare()
        return await self._database.run(
            lambda connection: sealed_chunks(connection, self._keys.require(connection, mark), set(names))
        )

    async def fork(self, parent: Mark, commit: Commit, child: Mark) -> Commit:
        """The state of `commit` as the first checkpoint of `child`, or as the next of `parent` itself in a new epoch.

        Keys are wrapped again, chunks are shared.
        """
        return await self._place(lambda connection: self._committing.fork(connection, parent, commit, child))

    async def restart(self, parent: Mark, branch: Mark, manifest: bytes) -> Commit:
        """The session in a new epoch, `branch`, with nothing: `manifest`, which names no chunk, is of cell 0."""
        empty = Arrival.of(manifest, {}, self._settings)
        return await self._place(lambda connection: self._committing.restart(connection, parent, branch, empty))

    async def _place(self, work: Callable[[Connection], Done]) -> Commit:
        async def place() -> Commit:
            done = await self._database.run(work)
            await self._remove(done.let_go)
            return done.commit

        await self.prepare()
        return await self._threads.to_the_end(place())

    async def delete(self, session_id: str) -> bool:
        """Shreds the key, then rows and files that no other session needs. False: there was nothing.

        Commits that are under way come to nothing, and have ended when this returns.
        """
        await self.prepare()
        return await self._threads.to_the_end(self._delete(session_id))

    async def _delete(self, session_id: str) -> bool:
        def work(connection: Connection) -> list[str] | None:
            rows.note_deletion(connection, session_id, self._clock())
            return rows.drop_session(connection, session_id)

        files = await self._database.run(work)
        await self._threads.ended(_commits_of(session_id))
        self._keys.forget(session_id)
        if files is None:
            return False
        await self._remove(files)
        await self._database.forget()
        return True

    async def session_ids(self) -> list[str]:
        """Of everything that is kept, in alphabetical order."""
        await self.prepare()
        statement = select(sessions.c.session_id).order_by(sessions.c.session_id)
        return await self._database.run(lambda connection: list(connection.execute(statement).scalars()))

    async def size(self) -> int:
        """Bytes of chunks and manifests on the disk."""
        await self.prepare()

        return await self._database.run(rows.stored_bytes)

    def rewrap(self, connection: Connection) -> int:
        """Every session's and organisation's key by the next installation's key: how many."""
        metadata.create_all(connection)
        return self._keys.rewrap(connection)

    async def _remove(self, files: Sequence[str]) -> None:
        if files:
            await self._threads.run(lambda: self._files.remove(files))

    async def close(self) -> None:
        """Waits for what is under way; the database stays open."""
        await self._threads.close()
        await self._readers.close()


def _commits_of(session_id: str) -> str:
    return f"commit {session_id}"
