"""A session that is deleted stays deleted, whatever of it was under way."""

import asyncio
from dataclasses import replace

import pytest

from kernel_gateway.errors import GatewayError
from tests.conftest import until
from tests.store.conftest import ALICE, BOB, manifest_of, named

EVERY_TABLE = ("sessions", "references", "chunks")


def nothing_is_left(store):
    rows = sum(store.sql(f"SELECT count(*) FROM checkpoint_{table}")[0][0] for table in EVERY_TABLE)
    return store.files() == [] and rows == 0 and b"ses_a" not in store.bytes_on_disk()


def deletion_at(point, store):
    """What deletes the session at that point of its next commit; the tasks that do it."""
    inside, loop, deletions = store.checkpoints, asyncio.get_running_loop(), []

    async def delete():
        if not deletions:
            deletions.append(asyncio.create_task(inside.delete("ses_a")))
        await until(lambda: deletions[0].done() or store.sql("SELECT count(*) FROM checkpoint_deletions") == [(1,)])

    def around(work, *, before):
        async def with_it(*args):
            if before:
                await delete()
            result = await work(*args)
            if not before:
                await delete()
            return result

        return with_it

    if point in {"before it looks", "after it wrote"}:
        inside._make = around(inside._make, before=point == "before it looks")
    elif point == "after it looked":
        inside._threads.share = around(inside._threads.share, before=True)
    elif point == "after its transaction":
        inside._commit_with = around(inside._commit_with, before=False)
    else:
        write = inside._files.write

        def write_and_delete(*args):
            write(*args)
            asyncio.run_coroutine_threadsafe(delete(), loop).result()

        inside._files.write = write_and_delete
    return deletions


POINTS = ["before it looks", "after it looked", "while it writes", "after it wrote", "after its transaction"]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("is_first", [True, False])
async def test_deleted_within_a_commit_it_is_gone_when_that_is_said(store, noise, point, is_first):
    await store.checkpoints.prepare()
    if not is_first:
        await store.put(ALICE, 1, noise())
    deletions = deletion_at(point, store)
    committing = asyncio.gather(store.put(ALICE, 2, *(noise() for _ in range(8))), return_exceptions=True)
    await until(lambda: deletions or committing.done())
    await deletions[0]
    assert nothing_is_left(store)
    (ended,) = await committing
    assert point == "after its transaction" or ended.code == "not_found"
    assert nothing_is_left(store) and await store.checkpoints.size() == 0
    assert await store.checkpoints.session_ids() == []


async def test_no_later_commit_fork_or_restart_makes_a_deleted_session_again(store, noise):
    kept = await store.put(BOB, 1, b"one")
    assert not await store.checkpoints.delete("ses_a")  # it had committed nothing yet
    child, large = replace(ALICE, lineage="ses_b"), noise()
    for checkpoints in (store.checkpoints, store.again()):
        for late in (
            checkpoints.commit(ALICE, manifest_of(b"small"), named(b"small"), 1),
            checkpoints.commit(ALICE, manifest_of(large), named(large), 1),
            checkpoints.fork(BOB, kept, child),
            checkpoints.restart(ALICE, replace(ALICE, epoch=1), manifest_of()),
        ):
            with pytest.raises(GatewayError, match="was deleted") as refused:
                await late
            assert refused.value.code == "not_found"
    assert store.files() == [] and await store.checkpoints.session_ids() == ["ses_b"]


async def test_that_it_was_deleted_is_known_for_a_day(store):
    def deleted(session_id, at):
        store.checkpoints._clock = lambda: at
        return store.checkpoints.delete(session_id)

    await deleted("ses_a", 1000.0)
    await deleted("ses_b", 1000.0 + 86_400)
    assert store.sql("SELECT count(*) FROM checkpoint_deletions") == [(2,)]
    await deleted("ses_b", 1000.1 + 86_400)
    assert store.sql("SELECT at FROM checkpoint_deletions") == [(1000.1 + 86_400,)]
