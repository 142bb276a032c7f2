"""A process that dies within a commit or a deletion, and others that are at work meanwhile."""

import asyncio
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kernel_gateway.errors import GatewayError
from tests.store.conftest import ALICE, BOB, manifest_of, named

DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from kernel_gateway.store.chunk_files import ChunkFiles
from kernel_gateway.store.database import Database
from tests.store.conftest import ALICE, Store
from tests.store.test_checkpoints_killed import noise

def dying(method, before):
    def work(*args):
        if before:
            os.kill(os.getpid(), signal.SIGKILL)
        method(*args)
        os.kill(os.getpid(), signal.SIGKILL)
    return work

async def main():
    store, point = Store(Path(sys.argv[1])), sys.argv[2]
    await store.checkpoints.prepare()
    if point == "deleted":
        await store.put(ALICE, 1, noise(1), noise(2))
        ChunkFiles.remove = dying(ChunkFiles.remove, before=True)
        await store.checkpoints.delete("ses_a")
    if point == "written":
        ChunkFiles.write = dying(ChunkFiles.write, before=False)
    if point == "before":
        store.checkpoints._committing.commit = dying(None, before=True)
    if point == "after":
        run = store.checkpoints._commit_with
        async def commit(*args):
            await run(*args)
            os.kill(os.getpid(), signal.SIGKILL)
        store.checkpoints._commit_with = commit
    await store.put(ALICE, 1, noise(1), noise(2))

asyncio.run(main())
"""


def noise(seed):
    """The same in both processes, and too large for a row."""
    return random.Random(seed).randbytes(200_000)


def died(folder, point):
    done = subprocess.run([sys.executable, "-c", DYING, str(folder), point], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize(("point", "files"), [("written", 1), ("before", 2)])
async def test_a_death_before_the_commit_leaves_files_that_are_found(store, tmp_path, point, files):
    died(tmp_path, point)
    assert len(store.files()) >= files
    assert await store.checkpoints.latest("ses_a") is None
    assert len(store.files()) >= files  # young ones may be another gateway's, whose commit has not ended
    assert await store.checkpoints.remove_strays(older_than_seconds=-60) >= files
    assert store.files() == [] and await store.checkpoints.size() == 0
    assert await store.back(ALICE, await store.put(ALICE, 1, noise(1), noise(2)), noise(1), noise(2))


async def test_a_death_after_the_commit_loses_nothing_and_the_same_commit_has_the_same_number(store, tmp_path):
    died(tmp_path, "after")
    found = await store.checkpoints.latest("ses_a")
    assert found.seq == 1 and await store.back(ALICE, found, noise(1), noise(2))
    assert await store.put(ALICE, 1, noise(1), noise(2)) == found
    assert len(store.files()) == 2 and await store.checkpoints.remove_strays(older_than_seconds=-60) == 0


async def test_a_death_within_a_deletion_leaves_noise_that_is_found(store, tmp_path):
    died(tmp_path, "deleted")
    assert len(store.files()) == 2
    assert store.sql("SELECT count(*) FROM checkpoint_sessions") == [(0,)]
    assert await store.checkpoints.remove_strays(older_than_seconds=-60) == 2
    assert store.files() == []


async def test_a_parent_deleted_while_forks_and_equal_commits_are_under_way_takes_nothing_along(store):
    chunks = [noise(seed) for seed in range(4)]
    for round_ in range(5):
        parent = replace(ALICE, session_id=f"ses_p{round_}", lineage=f"ses_p{round_}")
        other = replace(BOB, session_id=f"ses_q{round_}")
        child = replace(parent, session_id=f"ses_c{round_}")
        commit = await store.put(parent, 1, *chunks)
        forked, equal, _ = await asyncio.gather(
            store.checkpoints.fork(parent, commit, child),
            store.put(other, 1, *chunks),
            store.checkpoints.delete(parent.session_id),
            return_exceptions=True,
        )
        assert await store.back(other, equal, *chunks)
        if isinstance(forked, GatewayError):
            assert forked.code == "not_found"
        else:
            assert await store.back(child, forked, *chunks)
            await store.checkpoints.delete(child.session_id)
        await store.checkpoints.delete(other.session_id)
    assert store.files() == []


async def test_what_was_to_be_shared_and_is_gone_is_written_after_all(store):
    """The other session goes between the look at what is there and the transaction."""
    await store.put(ALICE, 1, noise(1))
    look, tries = store.checkpoints._make, []

    async def look_and_lose(*args):
        await look(*args)
        tries.append(await store.checkpoints.delete("ses_a"))

    store.checkpoints._make = look_and_lose
    commit = await store.put(BOB, 1, noise(1))
    assert tries == [True, False]
    assert await store.back(BOB, commit, noise(1)) and len(store.files()) == 1


async def test_a_caller_that_gives_up_leaves_a_whole_checkpoint(store):
    await store.checkpoints.prepare()
    chunks = [noise(1), noise(2)]
    task = asyncio.create_task(store.checkpoints.commit(ALICE, manifest_of(*chunks), named(*chunks), 1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.checkpoints.close()
    found = await store.again().latest("ses_a")
    assert found is not None and len(store.files()) == 2
    assert Path(store.files()[0]).stat().st_size > 0


async def test_a_disk_that_takes_no_more_leaves_no_file(store):
    """The third of four writes, on one of two threads, fails."""
    write, written = store.checkpoints._files.write, []

    def until_it_is_full(chunk_id, ciphertext):
        written.append(chunk_id)
        if len(written) == 3:
            raise GatewayError("internal", "a checkpoint cannot be written (No space left on device)")
        write(chunk_id, ciphertext)

    await store.checkpoints.prepare()
    store.checkpoints._files.write = until_it_is_full
    with pytest.raises(GatewayError, match="No space left"):
        await store.put(ALICE, 1, *(noise(seed) for seed in range(4)))
    assert store.files() == [] and await store.checkpoints.latest("ses_a") is None
    assert (await store.put(ALICE, 1, noise(1))).seq == 1
