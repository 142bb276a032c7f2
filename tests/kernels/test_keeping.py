"""What a kernel says of its state, in front of a sink that fails and a room that is full."""

import asyncio

import pytest

from kernel_ext.wire import Kind, Message
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.keeping import Keeping, Order
from tests.conftest import until

MANIFEST = b"{}"


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

    def __init__(self):
        self.sent = []
        self.keeping = Keeping(self.sent.append)
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
