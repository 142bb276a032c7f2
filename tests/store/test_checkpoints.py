"""What is committed comes back, is shared, and goes for good."""

import asyncio
import os
import stat
from dataclasses import replace

import pytest

from kernel_gateway.errors import GatewayError
from kernel_gateway.store.checkpoints import AT_MOST_BYTES
from kernel_gateway.store.commits import Anchor
from tests.store.conftest import ALICE, BOB, LARGE, OTHERS, manifest_of, name_of, named


async def test_a_checkpoint_comes_back_with_small_and_large_chunks(store, noise):
    chunks = [b"small", b"text " * 60_000, noise(), bytes(1024 * 1024), noise(1024 * 1024), b""]
    commit = await store.put(ALICE, 7, *chunks)
    assert (commit.seq, commit.cell, commit.epoch, len(commit.digest)) == (1, 7, 0, 64)
    assert await store.back(ALICE, commit, *chunks)
    store.checkpoints = store.again()
    assert await store.checkpoints.latest("ses_a") == commit
    assert await store.back(ALICE, commit, *chunks)


async def test_chunks_of_before_need_not_be_sent_again(store):
    await store.put(ALICE, 1, b"one", b"two")
    second = await store.checkpoints.commit(ALICE, manifest_of(b"two", b"three"), named(b"three"), 2)
    assert second.seq == 2
    assert await store.checkpoints.read(ALICE, [name_of(b"two"), name_of(b"three")]) == [b"two", b"three"]
    third = await store.checkpoints.commit(ALICE, manifest_of(b"one"), {}, 3)  # back to what the first had
    assert await store.back(ALICE, third, b"one")


async def test_the_newest_and_the_one_of_a_cell_are_found(store):
    commits = [await store.put(ALICE, cell, b"%d" % cell) for cell in (1, 2, 5)]
    checkpoints = store.checkpoints
    assert await checkpoints.latest("ses_a") == commits[-1]
    assert [await checkpoints.at("ses_a", cell) for cell in (0, 1, 4, 9)] == [None, commits[0], commits[1], commits[2]]
    assert await checkpoints.latest("ses_none") is None


async def test_the_same_again_is_the_same_checkpoint(store):
    first = await store.put(ALICE, 1, b"one")
    assert await store.put(ALICE, 1, b"one") == first
    assert (await store.put(ALICE, 2, b"one")).seq == 2
    assert (await store.put(replace(ALICE, epoch=1), 2, b"one")).seq == 3


async def test_chunks_go_straight_into_a_memory_file(store, noise):
    chunks = [noise(1024 * 1024), b"packed " * 20_000, b"tiny"]
    await store.put(ALICE, 1, *chunks)
    places, end = [], 0
    for chunk in [*chunks, chunks[2]]:  # the same one may be at several places
        places.append((name_of(chunk), end))
        end += len(chunk)
    descriptor = os.memfd_create("state")
    os.ftruncate(descriptor, end)
    await store.checkpoints.read_into(ALICE, places, descriptor)
    assert os.pread(descriptor, end + 1, 0) == b"".join([*chunks, chunks[2]])
    last = end - len(chunks[0])
    await store.checkpoints.read_into(ALICE, [(name_of(chunks[0]), last)], descriptor)
    for outside in (-1, last + 1, 2**70):
        with pytest.raises(GatewayError, match="less bytes than its chunks have"):
            await store.checkpoints.read_into(ALICE, [(name_of(chunks[0]), outside)], descriptor)
    with pytest.raises(GatewayError, match="less bytes than its chunks have"):  # one above the other
        await store.checkpoints.read_into(ALICE, [(name_of(chunks[0]), 0)] * 2, descriptor)
    assert os.fstat(descriptor).st_size == end
    os.close(descriptor)


async def test_so_much_is_read_into_memory_at_once_and_no_more(store, noise):
    await store.put(ALICE, 1, chunk := noise(1024 * 1024), b"one more")
    most = [name_of(chunk)] * (AT_MOST_BYTES // len(chunk))
    assert sum(map(len, await store.checkpoints.read(ALICE, most))) == AT_MOST_BYTES
    with pytest.raises(GatewayError, match="less bytes than its chunks have"):
        await store.checkpoints.read(ALICE, [*most, name_of(b"one more")])


async def test_equal_chunks_are_stored_once_for_an_organisation_and_never_across(store, noise):
    chunk = noise()
    sizes, commits = [], []
    for mark in (ALICE, BOB, OTHERS):
        before = await store.checkpoints.size()
        commits.append(await store.put(mark, 1, chunk))
        sizes.append(await store.checkpoints.size() - before)
    assert sizes[0] == sizes[2] > len(chunk) > 10 * sizes[1]
    assert len(store.files()) == 2
    addresses = {address for (address,) in store.sql("SELECT address FROM checkpoint_chunks")}
    assert len(addresses) == 2 and not any(address.startswith(name_of(chunk)) for address in addresses)
    for mark, commit in zip((ALICE, BOB, OTHERS), commits, strict=True):
        assert await store.back(mark, commit, chunk)


@pytest.mark.parametrize("size", [300, 3_000, LARGE, 1024 * 1024])
async def test_no_figure_tells_whether_another_session_holds_the_same(store, noise, size):
    for cell, secret in enumerate((noise(size), b"text " * (size // 5)), start=1):
        await store.put(ALICE, cell, b"more", secret)
        shared, alone = await store.put(BOB, cell, secret), await store.put(OTHERS, cell, secret)
        assert shared.written_bytes == alone.written_bytes
        assert (await store.put(BOB, cell + 5, secret)).written_bytes < 300  # its own it may know of


async def test_two_sessions_that_commit_the_same_at_once_both_have_it(store, noise):
    chunks = [noise() for _ in range(4)]
    other = store.again()
    commits = await asyncio.gather(
        store.put(ALICE, 1, *chunks), other.commit(BOB, manifest_of(*chunks), named(*chunks), 1)
    )
    assert len(store.files()) == 4
    for mark, commit in zip((ALICE, BOB), commits, strict=True):
        assert await store.back(mark, commit, *chunks)


async def test_nothing_on_the_disk_is_readable_and_only_this_user_opens_it(store, noise):
    chunks = [b"a secret that is small", b"a secret that is larger " * 10_000, b"a secret of noise" + noise()]
    await store.put(ALICE, 1, *chunks)
    on_disk = store.bytes_on_disk()
    assert b"a secret" not in on_disk
    assert (store.folder / "keys" / "vault.key").read_bytes() not in on_disk
    (file,) = store.files()
    folders = {file.parent, file.parent.parent, store.folder / "data"}
    assert {stat.S_IMODE(each.stat().st_mode) for each in folders} == {0o700}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_fork_shares_chunks_and_outlives_its_parent(store, noise):
    chunks = [b"tiny", noise()]
    await store.put(ALICE, 1, *chunks)
    await store.put(ALICE, 2, b"other")
    at_1 = await store.checkpoints.at("ses_a", 1)
    child = replace(ALICE, session_id="ses_fork")
    before = await store.checkpoints.size()
    forked = await store.checkpoints.fork(ALICE, at_1, child)
    assert (forked.seq, forked.cell) == (1, 1) and await store.checkpoints.size() - before < 1000
    assert forked.digest != at_1.digest
    with pytest.raises(GatewayError, match="does not hold"):
        await store.checkpoints.read(child, [name_of(b"other")])
    assert await store.checkpoints.delete("ses_a")
    assert await store.back(child, forked, *chunks)
    assert (await store.checkpoints.commit(child, manifest_of(*chunks, cell=2), {}, 2)).seq == 2
    assert await store.checkpoints.delete("ses_fork")
    assert store.files() == [] and await store.checkpoints.size() == 0


async def test_a_fork_of_a_fork_and_a_name_that_is_taken(store):
    commit = await store.put(ALICE, 1, b"one")
    child, grandchild = (replace(ALICE, session_id=name) for name in ("ses_1", "ses_2"))
    forked = await store.checkpoints.fork(ALICE, commit, child)
    again = await store.checkpoints.fork(child, forked, grandchild)
    await store.checkpoints.delete("ses_a")
    await store.checkpoints.delete("ses_1")
    assert await store.back(grandchild, again, b"one")
    taken = replace(BOB, lineage="ses_a")
    await store.put(taken, 1, b"x")
    with pytest.raises(GatewayError, match="another id"):
        await store.checkpoints.fork(grandchild, again, taken)
    for wrong in (replace(child, organisation="other"), replace(child, lineage="ses_b")):
        with pytest.raises(GatewayError, match="organisation and lineage"):
            await store.checkpoints.fork(grandchild, again, wrong)


async def test_a_session_goes_back_to_an_earlier_cell_in_a_new_epoch(store):
    first = await store.put(ALICE, 1, b"one")
    for cell in (2, 3):
        await store.put(ALICE, cell, b"%d" % cell)
    later = replace(ALICE, epoch=1)
    back = await store.checkpoints.fork(ALICE, first, later)
    assert (back.seq, back.cell, back.epoch) == (4, 1, 1)
    assert await store.back(later, back, b"one")
    assert await store.checkpoints.at("ses_a", 3) == back  # cells 2 and 3 are of another branch now
    at_2 = await store.put(later, 2, b"two again")
    assert await store.checkpoints.at("ses_a", 3) == at_2 == await store.checkpoints.latest("ses_a")
    with pytest.raises(GatewayError, match="older checkpoint"):
        await store.checkpoints.open(later, back, Anchor(6, "0" * 64))


async def test_a_session_goes_back_to_nothing_in_a_new_epoch(store):
    for cell in (2, 3):
        await store.put(ALICE, cell, b"%d" % cell)
    later, empty = replace(ALICE, epoch=1), manifest_of()
    back = await store.checkpoints.restart(ALICE, later, empty)
    assert (back.seq, back.cell, back.epoch) == (3, 0, 1)
    assert await store.checkpoints.latest("ses_a") == back
    assert [await store.checkpoints.at("ses_a", cell) for cell in (0, 2, 9)] == [back] * 3
    assert await store.checkpoints.open(later, back, back.anchor) == empty
    assert await store.checkpoints.restart(ALICE, later, empty) == back  # the caller did not learn that it was done
    assert await store.checkpoints.at("ses_a", 9) == back
    assert await store.checkpoints.at("ses_a", 9) == await store.put(later, 0) == back
    again = await store.put(later, 1, b"2")
    assert again.seq == 4 and await store.back(later, again, b"2")


async def test_nothing_is_gone_back_to_in_another_session_and_no_chunk_is_named(store):
    await store.put(ALICE, 2, b"2")
    with pytest.raises(GatewayError, match="as itself"):
        await store.checkpoints.restart(ALICE, replace(ALICE, session_id="ses_c"), manifest_of())
    with pytest.raises(GatewayError, match="does not hold"):
        await store.checkpoints.restart(ALICE, replace(ALICE, epoch=1), manifest_of(b"unknown"))
    assert (await store.checkpoints.at("ses_a", 2)).seq == 1
    first = await store.checkpoints.restart(BOB, replace(BOB, epoch=1), manifest_of())  # it had committed nothing
    assert (first.seq, first.cell) == (1, 0)


async def test_a_deleted_session_is_gone_from_every_file(store, noise):
    chunks = [b"small " * 50, noise()]
    await store.put(ALICE, 1, *chunks)
    await store.put(ALICE, 2, b"more", *chunks)
    kept = await store.put(BOB, 1, b"of somebody else", chunks[0])
    traces = [
        *store.sql("SELECT wrapped FROM checkpoint_sessions WHERE session_id = 'ses_a'"),
        *store.sql("SELECT wrapped FROM checkpoint_references WHERE session_id = 'ses_a'"),
        *store.sql("SELECT sealed FROM checkpoints WHERE session_id = 'ses_a'"),
        (store.files()[0].read_bytes(),),
    ]
    shared = store.sql("SELECT body FROM checkpoint_chunks WHERE size = 300")
    assert all(trace in store.bytes_on_disk() for (trace,) in [*traces, *shared]) and len(traces) == 1 + 3 + 2 + 1
    assert await store.checkpoints.delete("ses_a")
    on_disk = store.bytes_on_disk()
    assert [trace for (trace,) in traces if trace in on_disk] == [] and store.files() == []
    assert b"ses_a" not in on_disk
    assert await store.back(BOB, kept, b"of somebody else", chunks[0])
    with pytest.raises(GatewayError, match="no checkpoint"):
        await store.checkpoints.read(ALICE, [name_of(chunks[0])])
    assert not await store.checkpoints.delete("ses_a")
    assert await store.checkpoints.session_ids() == ["ses_b"]


async def test_the_size_is_that_of_what_is_stored(store, noise):
    assert await store.checkpoints.size() == 0
    written = (await store.put(ALICE, 1, noise(), b"small")).written_bytes
    written += (await store.put(OTHERS, 1, noise())).written_bytes
    assert await store.checkpoints.size() == written
    await store.checkpoints.delete("ses_a")
    await store.checkpoints.delete("ses_o")
    assert await store.checkpoints.size() == 0
