"""A manifest takes no more of the gateway than it says, and may not say much: at its commit, and at each restore."""

import hashlib
import json
import threading

import pytest

from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.manifest import (
    AT_ONCE_BYTES,
    CHUNK_BYTES,
    MAX_CHUNK_NAMES,
    MAX_NAMES,
    MAX_UNITS,
    Buffer,
    Layout,
    Manifest,
    Stream,
    Unit,
)
from tests.sessions.test_survival import cell, committed, kill, make

__all__ = ["make"]
ZEROS = bytes(CHUNK_BYTES)
NAME = hashlib.sha256(ZEROS).hexdigest()[:32]


def stream(size, chunks=None, kind=Stream):
    return kind(chunks=[NAME] * (-(-size // CHUNK_BYTES) if chunks is None else chunks), bytes=size)


def manifest_of(*units, cell=1):
    return Manifest(format=1, cell=cell, units=list(units), order=[])


def refused(manifest, *limit):
    """The code with which it is refused, at its commit and at each restore alike; None where it is not."""
    found = []
    for use in (lambda: Manifest.read(manifest.written(), *limit), lambda: Layout.of(manifest, 100, *limit)):
        try:
            use()
        except GatewayError as error:
            found.append(error.code)
        else:
            found.append(None)
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("size", "chunks", "code"),
    [
        (0, 0, None),
        (1, 1, None),
        (CHUNK_BYTES, 1, None),
        (CHUNK_BYTES + 1, 2, None),
        (300 * CHUNK_BYTES, 300, None),
        (0, 300, "invalid"),
        (0, 1, "invalid"),
        (1, 0, "invalid"),
        (1, 2, "invalid"),
        (CHUNK_BYTES, 2, "invalid"),
        (CHUNK_BYTES + 1, 1, "invalid"),
        (2**48, 1, "invalid"),
    ],
)
def test_a_stream_names_as_many_chunks_as_its_bytes_take(size, chunks, code):
    assert refused(manifest_of(Unit(names=["a"], stream=stream(size, chunks)))) == code
    buffer = stream(size, chunks, Buffer)
    assert refused(manifest_of(Unit(names=["a"], stream=stream(1), buffers=[buffer]))) == code
    assert refused(manifest_of(Unit(names=["a"], buffers=[buffer]))) == code


@pytest.mark.parametrize(("more", "code"), [(0, None), (1, "limited")])
def test_the_variables_of_a_session_have_so_many_bytes_and_no_more(more, code):
    large = Unit(names=["a"], stream=stream(1000), buffers=[stream(2000, kind=Buffer)])
    assert refused(manifest_of(large, Unit(names=["b"], stream=stream(more))), 3000) == code
    assert refused(manifest_of(Unit(names=["a"], stream=stream(512 * CHUNK_BYTES + more)))) == code


@pytest.mark.parametrize(("more", "code"), [(0, None), (1, "limited")])
def test_a_manifest_holds_so_much_and_no_more(more, code):
    assert refused(manifest_of(*[Unit(names=["a"])] * (MAX_UNITS + more))) == code
    assert refused(manifest_of(Unit(names=["a"] * (MAX_NAMES + more)))) == code
    long = stream((MAX_CHUNK_NAMES + more) * CHUNK_BYTES)
    assert refused(manifest_of(Unit(names=["a"], stream=long)), long.bytes) == code


async def test_a_small_manifest_of_a_large_state_is_not_committed(make):
    app = await make(sessions={"max_state_bytes": 3 * CHUNK_BYTES})
    session = await committed(app, (await cell(app, "a = 1")).session_id)
    for size, chunks, code in ((0, 300, "invalid"), (4 * CHUNK_BYTES, 4, "limited")):
        raw = manifest_of(Unit(names=["a"], stream=stream(size, chunks))).written()
        with pytest.raises(GatewayError) as caught:
            await session.saving.commit(1, raw, {NAME: ZEROS})
        assert caught.value.code == code
    assert (await session._services.durable.checkpoints.latest(session.id)).seq == 1


async def test_chunks_that_are_longer_than_they_were_said_to_be_are_not_read(make):
    app = await make()
    session = await committed(app, (await cell(app, "a = 1")).session_id)
    units = [{"names": [f"a{n}"], "stream": {"chunks": [NAME], "bytes": 1}} for n in range(17)]
    raw = json.dumps({"format": 1, "cell": 1, "units": units, "order": []}).encode()
    await session.saving.commit(1, raw, {NAME: ZEROS})
    await kill(session)
    lost = (await cell(app, "1", session.id)).lost
    assert lost == ("all variables: the manifest says less bytes than its chunks have",)


def padded(manifest, size):
    raw = manifest.written()
    return raw + b" " * (size - len(raw))


@pytest.mark.parametrize(("size", "is_here"), [(AT_ONCE_BYTES, True), (AT_ONCE_BYTES + 1, False)])
async def test_a_long_manifest_is_read_on_a_thread(monkeypatch, size, is_here):
    threads, read = [], Manifest.read

    def noted(*arguments):
        threads.append(threading.current_thread())
        return read(*arguments)

    monkeypatch.setattr(Manifest, "read", noted)
    manifest = manifest_of(Unit(names=["a"], stream=stream(1)))
    assert await Manifest.parsed(padded(manifest, size), 1) == manifest
    assert (threads == [threading.main_thread()]) is is_here
    with pytest.raises(GatewayError, match="at most 0 are kept"):
        await Manifest.parsed(padded(manifest, size), 0)


async def test_a_manifest_that_is_too_long_is_not_read_at_all(make, tmp_path, monkeypatch):
    app = await make(store={"folder": str(tmp_path / "state"), "checkpoints": {"max_manifest_bytes": 4096}})
    session = await committed(app, (await cell(app, "a = 1")).session_id)
    read, sizes = Manifest.read, []

    def noted(raw, *limit):
        sizes.append(len(raw))
        return read(raw, *limit)

    monkeypatch.setattr(Manifest, "read", noted)
    manifest = manifest_of(Unit(names=["b"]))
    with pytest.raises(GatewayError, match="at most 4096 are kept") as caught:
        await session.saving.commit(1, padded(manifest, 4097), {})
    assert (caught.value.code, sizes) == ("limited", [])
    await session.saving.commit(1, padded(manifest, 4096), {})
    assert sizes == [4096]
