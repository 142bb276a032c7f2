"""A store of checkpoints on a folder, and what a sandbox would hand it."""

import hashlib
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from kernel_gateway.store.checkpoints import Checkpoints
from kernel_gateway.store.commits import Mark
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from kernel_gateway.store.settings import CheckpointSettings

ALICE = Mark("acme", "ses_a", "ses_a", 0, "image-1", "catalog-1")
BOB = replace(ALICE, lineage="ses_b", session_id="ses_b")
OTHERS = replace(ALICE, organisation="other", lineage="ses_o", session_id="ses_o")
LARGE = 200_000  # bytes of a chunk that goes into a file


def name_of(chunk):
    return hashlib.sha256(chunk).hexdigest()[:32]


def named(*chunks):
    return {name_of(chunk): chunk for chunk in chunks}


def manifest_of(*chunks, **more):
    units = [{"names": ["x"], "stream": {"chunks": [name_of(chunks[0])], "bytes": 1}}] if chunks else []
    units += [
        {"names": ["y"], "buffers": [{"chunks": [name_of(chunk)], "bytes": len(chunk), "read_only": False}]}
        for chunk in chunks[1:]
    ]
    return json.dumps({"format": 1, "units": units, **more}).encode()


class Store:
    """`folder` has `data` and `keys`, as a service's."""

    def __init__(self, folder):
        self.folder = folder
        self._opened = []
        self.checkpoints = self.again()

    def again(self, **limits):
        """As after a restart, or of a second process."""
        database = Database(self.folder / "data" / "gateway.db")
        settings = CheckpointSettings.model_construct(**CheckpointSettings().model_dump() | limits)
        opened = Checkpoints(database, Keys(self.folder), self.folder / "data" / "chunks", settings)
        self._opened.append((opened, database))
        return opened

    async def put(self, mark, cell, *chunks):
        return await self.checkpoints.commit(mark, manifest_of(*chunks), named(*chunks), cell)

    async def back(self, mark, commit, *chunks):
        """Whether it is all there."""
        manifest = await self.checkpoints.open(mark, commit, None)
        return manifest == manifest_of(*chunks) and await self.checkpoints.read(mark, list(named(*chunks))) == [*chunks]

    def files(self):
        return sorted(path for path in (self.folder / "data" / "chunks").rglob("*") if path.is_file())

    def bytes_on_disk(self):
        return b"".join(path.read_bytes() for path in sorted((self.folder / "data").rglob("*")) if path.is_file())

    def sql(self, statement, *values):
        with closing(sqlite3.connect(self.folder / "data" / "gateway.db")) as other, other:
            return other.execute(statement, values).fetchall()

    async def close(self):
        for checkpoints, database in self._opened:
            await checkpoints.close()
            await database.close()


@pytest.fixture
async def store(tmp_path):
    store = Store(tmp_path)
    yield store
    await store.close()


@pytest.fixture
def noise():
    return lambda size=LARGE: os.urandom(size)
