"""What a kernel says of its state, in front of a sink that fails and a room that is full."""

import asyncio
import hashlib

import pytest

from kernel_ext.wire import Kind, Message
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.keeping import ENTRY_BYTES, MAX_CHUNKS, Keeping, Order
from kernel_gateway.kernels.shares import BlobRoom
from tests.conftest import until

MANIFEST = b"{}"
ROOM = 1_000_000


def name_of(chunk):
    return hashlib.sha256(chunk).hexdigest()[:32]


class Sink:
    """Keeps what it is given; `fails` is raised at the commit."""

    def __init__(self, fails=None):
        self.chunks, self.manifest, self.fails = {}, None, fails

    async def put(self, chunks):
        self.chunks |= chunks

    async def commit(self, manifest):
        if self.fails is not None:
            raise self.fails
        self.manifest = manifest


class Kernel:
    """Whatever a kernel can say, said to its keeping."""

    def __init__(self, room=None):
        self.sent = []
        self.room = room or BlobRoom(ROOM)
        self.keeping = Keeping(self.sent.append, self.room, lambda: None)
        self.died = asyncio.get_running_loop().create_future()

    def save(self, sink, max_bytes=1000):
        return asyncio.create_task(self.keeping.save(Order(1, 1.0, max_bytes), sink, self.died))

    async def saving(self, sink, max_bytes=1000):
        save = self.save(sink, max_bytes)
        await until(lambda: self.keeping.is_saving)
        return save

    async def says(self, kind, head, body=b""):
        answer = await self.keeping.answer(Message(kind, 1, head, body))
        return answer.head.get("code", "")

    async def gives(self, *chunks, **head):
        return await self.says(
            Kind.CHUNKS, {"chunks": [[name_of(each), len(each)] for each in chunks], **head}, b"".join(chunks)
        )

    async def saved(self, **more):
        return await self.says(Kind.SAVED, {"cell": 1, "manifest": len(MANIFEST), **more}, MANIFEST)


@pytest.fixture
async def kernel():
    return Kernel()


async def test_what_the_sink_has_taken_is_saved(kernel):
    sink = Sink()
    save = await kernel.saving(sink)
    assert await kernel.saved() == ""
    assert (await save, sink.manifest) == (True, MANIFEST)


async def test_what_the_kernel_stopped_is_not_saved(kernel):
    save = await kernel.saving(Sink())
    assert await kernel.says(Kind.SAVED, {"cell": 1, "stopped": "Stopped"}) == ""
    assert await save is False


@pytest.mark.parametrize("failure", [OSError(28, "No space left"), GatewayError("limited", "full"), ValueError("odd")])
async def test_a_commit_that_fails_in_whatever_way_is_never_taken_for_a_save(kernel, failure):
    save = await kernel.saving(Sink(failure))
    if isinstance(failure, GatewayError):
        assert await kernel.saved() == failure.code
    else:
        with pytest.raises(type(failure)):
            await kernel.saved()
    with pytest.raises(type(failure)) as raised:
        await save
    assert raised.value is failure


async def test_a_commit_that_is_cut_off_is_no_save(kernel):
    sink, forever = Sink(), asyncio.Event()
    sink.commit = lambda manifest: forever.wait()
    save = await kernel.saving(sink)
    committing = asyncio.create_task(kernel.saved())
    await until(lambda: not kernel.keeping.is_saving)
    committing.cancel()
    assert await save is False


NAME = name_of(b"x")


@pytest.mark.parametrize(
    "chunks",
    [
        [[NAME, 0]],
        [["", 1]],
        [["0_0_" + "x" * 1200, 1]],
        [[NAME + "a", 1]],
        [[NAME + "\n", 1]],
        [[NAME.upper(), 1]],
        [[NAME, -1], [NAME, 2]],
        [[NAME, 2]],
        [[NAME, 1], [NAME, 1]],
        [[NAME, "1"]],
        [[NAME]],
        [],
        "x",
        {NAME: 1},
    ],
    ids=str,
)
async def test_what_is_no_name_and_length_of_a_chunk_is_refused(kernel, chunks):
    sink = Sink()
    save = await kernel.saving(sink)
    assert await kernel.says(Kind.CHUNKS, {"chunks": chunks}, b"x") == "invalid"
    assert await kernel.says(Kind.SAVED, {"cell": 1, "stopped": "ToolError"}) == ""
    assert (await save, sink.chunks, kernel.room.held) == (False, {}, 0)


async def test_chunks_without_any_bytes_fill_no_memory(kernel):
    sink = Sink()
    await kernel.saving(sink, max_bytes=1024)
    for message in range(60):
        nothing = [[f"{message}_{number}_" + "x" * 1200, 0] for number in range(200)]
        assert await kernel.says(Kind.CHUNKS, {"chunks": nothing}) == "invalid"
    assert sink.chunks == {}


async def test_a_save_has_so_many_bytes_and_no_more(kernel):
    sink = Sink()
    await kernel.saving(sink, max_bytes=5)
    assert (await kernel.gives(b"123", b"45"), await kernel.gives(b"6")) == ("", "too_large")
    assert sink.chunks == {name_of(b"123"): b"123", name_of(b"45"): b"45"}


@pytest.mark.parametrize(("more", "code"), [(0, ""), (1, "too_large")])
async def test_a_save_has_so_many_chunks_and_no_more(more, code):
    kernel = Kernel(BlobRoom(MAX_CHUNKS * 2 * ENTRY_BYTES))
    await kernel.saving(Sink(), max_bytes=MAX_CHUNKS * 2)
    assert await kernel.gives(*[b"x"] * (MAX_CHUNKS - 1 + more)) == ""
    assert await kernel.gives(b"x") == code


@pytest.mark.parametrize(("size", "code"), [(1000, ""), (1001, "limited")])
async def test_all_kernels_together_give_so_many_bytes_at_once_and_no_more(size, code):
    room = BlobRoom(400 + 1000 + 2 * ENTRY_BYTES)
    first, second, sink = Kernel(room), Kernel(room), Sink()
    one = await first.saving(Sink())
    other = await second.saving(sink, max_bytes=2000)
    assert await first.gives(b"x" * 400) == ""
    assert await second.gives(b"y" * size) == code
    assert len(sink.chunks) == (0 if code else 1)
    assert await second.says(Kind.SAVED, {"cell": 1, "stopped": "ToolError"}) == ""
    assert (await other, room.held) == (False, 400 + ENTRY_BYTES)
    assert await first.saved() == ""
    assert (await one, room.held) == (True, 0)


async def test_the_room_comes_back_however_a_save_ends():
    room = BlobRoom(ROOM)

    async def given(sink=None):
        kernel = Kernel(room)
        save = await kernel.saving(sink or Sink())
        assert await kernel.gives(b"123") == ""
        assert room.held == 3 + ENTRY_BYTES
        return kernel, save

    kernel, save = await given()
    kernel.died.set_result("it was killed")
    assert (await save, room.held) == (False, 0)
    _, save = await given()
    save.cancel()
    await asyncio.wait({save})
    assert room.held == 0
    kernel, save = await given(Sink(GatewayError("limited", "full")))
    assert await kernel.saved() == "limited"
    await asyncio.wait({save})
    assert (str(save.exception()), room.held) == ("full", 0)
    kernel, save = await given()
    assert await kernel.saved() == ""
    assert (await save, room.held) == (True, 0)
    assert await kernel.gives(b"456") == "denied"
    assert room.held == 0


HANGS = """
class Hangs:
    def __reduce__(self):
        while True: pass
hangs = Hangs()
"""


def for_ever(method):
    """What a hostile cell does to its own kernel."""
    return f"import kernel_ext.keeping, time\nkernel_ext.keeping.Keeper.{method} = lambda *_: time.sleep(3600)"


async def ran(kernel, code):
    outcome = await kernel.run(code, 60.0, asyncio.get_running_loop().create_future())
    assert outcome.status == "ok"
    return outcome


async def test_a_save_within_its_time_is_left_alone(claim_kernel):
    kernel, sink = await claim_kernel(), Sink()
    await ran(kernel, "a = [1]")
    assert await kernel.save(Order(1, 60.0, 10**6), sink) is True
    assert b'"a"' in sink.manifest
    assert all(task.get_name() != "save-deadline" or task.cancelling() for task in asyncio.all_tasks())


async def test_a_save_that_goes_on_after_its_time_is_stopped(claim_kernel, monkeypatch):
    monkeypatch.setattr("kernel_gateway.kernels.kernel.SAVE_GRACE_SECONDS", -3599.0)
    kernel, sink = await claim_kernel(), Sink()
    await ran(kernel, HANGS)
    assert await kernel.save(Order(1, 3600.0, 10**6), sink) is False
    assert sink.manifest is None
    assert (await ran(kernel, "1 + 1")).outputs.result == "2"


async def test_a_kernel_that_saves_on_and_on_is_killed(claim_kernel, monkeypatch):
    monkeypatch.setattr("kernel_gateway.kernels.kernel.SAVE_GRACE_SECONDS", 0.0)
    kernel, sink = await claim_kernel(interrupt_grace_seconds=0.1), Sink()
    await ran(kernel, for_ever("_save"))
    assert await kernel.save(Order(1, 0.5, 10**6), sink) is False
    assert "ignored the interrupt" in await kernel.died
    assert kernel._bridge.keeping._room.held == 0


async def test_a_kernel_that_does_not_load_in_time_is_killed(claim_kernel):
    kernel = await claim_kernel()
    assert await kernel.load({"count": 5}) == {}
    await ran(kernel, for_ever("_loaded"))
    with pytest.raises(GatewayError, match=r"took over 0\.5 s") as caught:
        await kernel.load({"count": 6}, seconds=0.5)
    assert (caught.value.code, await kernel.died) == (
        "deadline",
        "a variable's own code, which says how to load it, took too long",
    )
    with pytest.raises(GatewayError) as caught:
        await kernel.load({"count": 6})
    assert caught.value.code == "kernel_died"
