"""How much is kept: numbers and bytes, of a session and of all."""

from dataclasses import replace

import pytest

from kernel_gateway.errors import GatewayError
from kernel_gateway.store.retention import kept_from
from tests.store.conftest import ALICE, BOB, manifest_of, name_of, named


async def test_the_oldest_checkpoints_go_first_with_what_only_they_need(store, noise):
    store.checkpoints = store.again(max_per_session=3)
    of_one, of_two, of_all = noise(), noise(), noise()
    await store.put(ALICE, 1, of_all, of_one)
    for cell in (2, 3):
        await store.checkpoints.commit(ALICE, manifest_of(of_all, of_two, cell=cell), named(of_two), cell)
    assert await store.checkpoints.at("ses_a", 1) and len(store.files()) == 3
    fourth = await store.checkpoints.commit(ALICE, manifest_of(of_all), {}, 4)
    assert fourth.seq == 4
    assert await store.checkpoints.at("ses_a", 1) is None and len(store.files()) == 2
    with pytest.raises(GatewayError, match="does not hold"):
        await store.checkpoints.commit(ALICE, manifest_of(of_one), {}, 5)
    for cell in (5, 6):
        await store.checkpoints.commit(ALICE, manifest_of(of_all, cell=cell), {}, cell)
    assert len(store.files()) == 1
    assert await store.checkpoints.read(ALICE, [name_of(of_all)]) == [of_all]


async def test_a_tenth_goes_at_once(store):
    store.checkpoints = store.again(max_per_session=20)
    for cell in range(1, 22):
        await store.checkpoints.commit(ALICE, manifest_of(cell=cell), {}, cell)
        assert store.sql("SELECT kept FROM checkpoint_sessions") == store.sql("SELECT count(*) FROM checkpoints")
        assert store.sql("SELECT min(seq), max(seq) FROM checkpoints") == [(1 if cell <= 20 else 4, cell)]


async def test_what_a_fork_needs_stays_when_its_parent_drops_it(store, noise):
    store.checkpoints = store.again(max_per_session=1)
    chunk = noise()
    child = replace(ALICE, session_id="ses_fork")
    forked = await store.checkpoints.fork(ALICE, await store.put(ALICE, 1, chunk), child)
    await store.put(ALICE, 2, b"other")
    with pytest.raises(GatewayError, match="does not hold"):
        await store.checkpoints.read(ALICE, [name_of(chunk)])
    assert await store.back(child, forked, chunk)


async def test_a_session_may_use_so_many_bytes_and_the_newest_alone_must_fit(store, noise):
    store.checkpoints = store.again(max_session_bytes=1_000_000)
    for cell in range(1, 10):
        await store.put(ALICE, cell, noise(200_000))
        assert store.sql("SELECT stored FROM checkpoint_sessions")[0][0] <= 1_000_000
    assert len(store.files()) == 4
    before = await store.checkpoints.latest("ses_a")
    with pytest.raises(GatewayError, match="drop some variables") as refused:
        await store.put(ALICE, 10, *(noise(200_000) for _ in range(5)))
    assert refused.value.code == "limited"
    assert await store.checkpoints.latest("ses_a") == before and len(store.files()) == 4
    await store.put(ALICE, 10, *(noise(199_500) for _ in range(5)))
    assert len(store.files()) == 5


async def test_all_sessions_may_use_so_many_bytes_together(store, noise):
    store.checkpoints = store.again(max_bytes=1_000_000)
    for mark in (ALICE, BOB):
        await store.put(mark, 1, noise(400_000))
    with pytest.raises(GatewayError, match="delete sessions") as refused:
        await store.put(ALICE, 2, noise(400_000))
    assert refused.value.code == "limited" and len(store.files()) == 2
    await store.checkpoints.delete("ses_b")
    assert (await store.put(ALICE, 2, noise(400_000))).seq == 2


async def test_that_all_is_full_does_not_depend_on_what_another_session_holds(store, noise):
    store.checkpoints = store.again(max_bytes=1_000_000)
    secret = noise(400_000)
    await store.put(ALICE, 1, secret, noise(400_000))
    for guess in (secret, noise(400_000)):
        with pytest.raises(GatewayError, match="delete sessions"):
            await store.put(BOB, 1, guess)
    child = replace(ALICE, session_id="ses_fork")
    assert await store.checkpoints.fork(ALICE, await store.checkpoints.latest("ses_a"), child)


async def test_a_manifest_has_so_many_bytes_and_chunks_at_most(store):
    store.checkpoints = store.again(max_manifest_bytes=1000, max_chunks=3)
    fits = manifest_of(b"1", b"2", b"3")
    fits += b" " * (1000 - len(fits))
    many = manifest_of(*(b"%d" % number for number in range(4)))
    for manifest, said in ((fits + b" ", "at most 1000 are kept"), (many, "at most 3 are kept")):
        with pytest.raises(GatewayError, match=said) as refused:
            await store.checkpoints.commit(BOB, manifest, {}, 1)
        assert refused.value.code == "limited"
    assert await store.checkpoints.commit(ALICE, fits, named(b"1", b"2", b"3"), 1)


def test_as_many_are_kept_as_fit_newest_first():
    sizes = [(seq, 10) for seq in range(1, 6)]
    uses = [(None, 100), (1, 1000), (2, 200), (4, 50)]
    every = 50 + 1350
    assert kept_from(sizes, uses, 10, every) == 1
    assert kept_from(sizes, uses, 10, every - 1) == 2
    assert kept_from(sizes, uses, 10, 40 + 350 - 1) == 3
    assert kept_from(sizes, uses, 2, every) == 4
    assert kept_from(sizes, uses, 10, 110) == 5
    assert kept_from(sizes, uses, 10, 109) is None
