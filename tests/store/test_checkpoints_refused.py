"""What a sandbox may not say, and what somebody who writes to the disk cannot make it say."""

import json
from dataclasses import replace

import pytest

from kernel_gateway.errors import GatewayError
from kernel_gateway.store.chunks import MAX_CHUNK_BYTES
from kernel_gateway.store.commits import Anchor, OutdatedError
from tests.store.conftest import ALICE, BOB, OTHERS, manifest_of, name_of, named

NAME = "0" * 32


@pytest.mark.parametrize("size", [MAX_CHUNK_BYTES, MAX_CHUNK_BYTES + 1])
async def test_a_chunk_has_a_mebibyte_at_most(store, size):
    if size <= MAX_CHUNK_BYTES:
        assert await store.put(ALICE, 1, bytes(size))
    else:
        with pytest.raises(GatewayError, match="cut it at"):
            await store.put(ALICE, 1, bytes(size))


@pytest.mark.parametrize(
    "name", [NAME, "", "../../etc/passwd", name_of(b"data").upper(), name_of(b"data") + "0", name_of(b"other")]
)
async def test_a_name_that_is_not_of_its_bytes_is_refused_and_nothing_is_kept(store, name):
    with pytest.raises(GatewayError, match="not what its name says") as refused:
        await store.checkpoints.commit(ALICE, manifest_of(b"data"), {name: b"data"}, 1)
    assert refused.value.code == "invalid"
    assert await store.checkpoints.latest("ses_a") is None and await store.checkpoints.size() == 0


@pytest.mark.parametrize(
    "manifest",
    [
        *(b"", b"x", b"[]", b"1", b"{}", b"\xff", b'{"units": 1}', b'{"units": [1]}', b'{"units": [{"stream": 1}]}'),
        *(
            b'{"units": [{"stream": {}}]}',
            b'{"units": [{"buffers": [7]}]}',
            b"[" * 100_000,
            b'{"units": ' + b"9" * 5000,
        ),
        *(
            json.dumps({"units": [{"stream": {"chunks": wrong}}]}).encode()
            for wrong in ([7], [[]], "xy", None, ["../x"])
        ),
        json.dumps({"units": [{"stream": {"chunks": [NAME.replace("0", "A")]}}]}).encode(),
    ],
)
async def test_a_manifest_of_another_form_is_refused(store, manifest):
    with pytest.raises(GatewayError) as refused:
        await store.checkpoints.commit(ALICE, manifest, {}, 1)
    assert refused.value.code == "invalid" and "\n" not in refused.value.message


async def test_a_chunk_of_another_session_or_of_nobody_is_not_named(store):
    await store.put(BOB, 1, b"bob's")
    await store.put(OTHERS, 1, b"theirs")
    for unknown in (b"bob's", b"theirs", b"nobody's"):
        with pytest.raises(GatewayError, match="does not hold") as refused:
            await store.checkpoints.commit(ALICE, manifest_of(unknown), {}, 1)
        assert refused.value.code == "invalid"
        with pytest.raises(GatewayError):
            await store.checkpoints.read(ALICE, [name_of(unknown)])
    assert await store.checkpoints.session_ids() == ["ses_b", "ses_o"]


async def test_a_refused_commit_leaves_no_file(store, noise):
    large = noise()
    with pytest.raises(GatewayError, match="does not hold"):
        await store.checkpoints.commit(ALICE, manifest_of(large, b"unknown"), named(large), 1)
    assert store.files() == []


async def test_only_what_the_ledger_says_is_the_newest_is_opened(store):
    first = await store.put(ALICE, 1, b"one")
    (before,) = store.sql("SELECT sealed, digest FROM checkpoints")
    second = await store.put(ALICE, 2, b"two")
    opened = store.checkpoints.open
    assert await opened(ALICE, second, second.anchor) == manifest_of(b"two")
    assert await opened(ALICE, first, second.anchor) == manifest_of(b"one")  # to fork from: the newest is there
    assert await opened(ALICE, second, first.anchor)  # the gateway died before the ledger knew
    with pytest.raises(GatewayError, match="not the one that the ledger names"):
        await opened(ALICE, second, Anchor(2, first.digest))
    with pytest.raises(GatewayError, match="another checkpoint lies"):
        await opened(ALICE, replace(second, digest=first.digest), None)
    store.sql("DELETE FROM checkpoints WHERE seq = 2")
    with pytest.raises(GatewayError, match="an older checkpoint lies where the newest was") as refused:
        await opened(ALICE, first, second.anchor)
    assert refused.value.code == "internal"
    store.sql("UPDATE checkpoints SET seq = 2, sealed = ?, digest = ?", *before)
    with pytest.raises(GatewayError, match="damaged or moved"):
        await opened(ALICE, replace(second, digest=first.digest), Anchor(2, first.digest))


async def test_the_newest_opens_where_the_ledger_has_forgotten_it_and_what_is_damaged_does_not(store):
    await store.put(ALICE, 1, b"one")
    newest = await store.put(ALICE, 2, b"two")
    store.checkpoints = store.again()
    latest = await store.checkpoints.latest("ses_a")
    assert latest == newest
    assert await store.checkpoints.open(ALICE, latest, None) == manifest_of(b"two")
    store.sql("UPDATE checkpoints SET cell = 1 WHERE seq = 2")
    with pytest.raises(GatewayError, match="damaged or moved"):
        await store.checkpoints.open(ALICE, await store.checkpoints.latest("ses_a"), None)


async def test_another_image_or_catalog_is_said_apart_and_only_of_what_is_sound(store):
    commit = await store.put(ALICE, 1, b"one")
    for other, what in ((replace(ALICE, image="image-2"), "image"), (replace(ALICE, catalog="catalog-2"), "catalog")):
        with pytest.raises(OutdatedError, match=f"another {what}"):
            await store.checkpoints.open(other, commit, commit.anchor)
    store.sql("UPDATE checkpoints SET image = 'image-2'")
    with pytest.raises(GatewayError, match="damaged or moved"):
        await store.checkpoints.open(replace(ALICE, image="image-2"), commit, commit.anchor)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"organisation": "other"}, "another organisation"),
        ({"lineage": "ses_b"}, "another origin"),
        ({"session_id": "ses_c"}, "no checkpoint"),
    ],
)
async def test_somebody_elses_is_not_found(store, change, said):
    commit = await store.put(ALICE, 1, b"one")
    mark = replace(ALICE, **change)
    for asked in (store.checkpoints.open(mark, commit, None), store.checkpoints.read(mark, [name_of(b"one")])):
        with pytest.raises(GatewayError, match=said) as refused:
            await asked
        assert refused.value.code == "not_found"


MOVES = [
    *(("checkpoint_sessions", column) for column in ("organisation", "lineage", "wrapped")),
    *(("checkpoints", column) for column in ("epoch", "cell", "image", "catalog", "digest", "sealed")),
    *(("checkpoint_references", column) for column in ("name", "chunk_id", "wrapped")),
    *(("checkpoint_chunks", column) for column in ("address", "packing", "size", "body")),
]
KEY = {"checkpoint_sessions": "session_id", "checkpoints": "session_id", "checkpoint_references": "session_id"}


@pytest.mark.parametrize(("table", "column"), MOVES, ids=[".".join(move) for move in MOVES])
async def test_a_field_swapped_with_another_sessions_is_refused(store, table, column):
    """Of every table and every column that means anything, in both directions."""
    marks = {
        "ses_a": ALICE,
        "ses_z": replace(OTHERS, session_id="ses_z", lineage="ses_z", epoch=3, image="image-9", catalog="catalog-9"),
    }
    texts = {"ses_a": b"alice's", "ses_z": b"another one's " * 300}  # the second is packed
    commits = {}
    for cell, (session_id, mark) in enumerate(marks.items()):
        commits[session_id] = await store.put(mark, cell + 1, texts[session_id])
    store.checkpoints = store.again()  # no key is in memory
    of = {session_id: store.sql(f"SELECT chunk_id FROM checkpoint_references WHERE session_id = '{session_id}'")[0][0]
          for session_id in marks}  # fmt: skip
    key = KEY.get(table, "chunk_id")
    ids = list(marks) if key == "session_id" else [of[session_id] for session_id in marks]
    values = [store.sql(f"SELECT {column} FROM {table} WHERE {key} = ?", each)[0][0] for each in ids]
    assert values[0] != values[1]
    for each, value in zip(ids, reversed(values), strict=True):
        store.sql(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", value, each)
    for session_id, mark in marks.items():
        with pytest.raises(GatewayError) as refused:
            await store.checkpoints.open(mark, commits[session_id], None)
            await store.checkpoints.read(mark, [name_of(texts[session_id])])
        assert refused.value.code in {"internal", "not_found", "invalid"} and "\n" not in refused.value.message


async def test_a_file_that_was_moved_cut_lengthened_changed_or_removed_is_refused(store, noise):
    chunks = [noise(), noise()]
    await store.put(ALICE, 1, *chunks)
    one, two = store.files()
    content = one.read_bytes(), two.read_bytes()
    one.write_bytes(content[1])
    two.write_bytes(content[0])
    for chunk in chunks:
        with pytest.raises(GatewayError, match="damaged or moved"):
            await store.checkpoints.read(ALICE, [name_of(chunk)])
    flipped = content[0][:99] + bytes([content[0][99] ^ 1]) + content[0][100:]
    for wrong in (content[0][:-1], content[0] + b"x", flipped, b"", content[0] + bytes(2 * MAX_CHUNK_BYTES)):
        one.write_bytes(wrong)
        two.write_bytes(content[1])
        with pytest.raises(GatewayError, match="damaged or moved"):
            await store.checkpoints.read(ALICE, list(named(*chunks)))
    one.unlink()
    with pytest.raises(GatewayError, match="gone from the disk") as refused:
        await store.checkpoints.read(ALICE, list(named(*chunks)))
    assert refused.value.code == "not_found"
    one.write_bytes(content[0])
    assert await store.checkpoints.read(ALICE, list(named(*chunks))) == chunks


async def test_a_damaged_session_does_not_keep_others_from_what_they_share(store, noise):
    chunk = noise()
    await store.put(ALICE, 1, chunk)
    store.sql("UPDATE checkpoint_references SET wrapped = zeroblob(60)")
    commit = await store.put(BOB, 1, chunk)
    assert await store.back(BOB, commit, chunk) and len(store.files()) == 2
