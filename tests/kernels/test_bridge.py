"""The gateway's end of the sixth channel, against a hostile other end on a real socket."""

import asyncio
import socket

import pytest

from kernel_ext.wire import Decoder, Kind, Limits, Message, encode
from kernel_gateway.kernels.bridge import BROKE_PROTOCOL, Bridge
from kernel_gateway.kernels.keeping import Order
from kernel_gateway.kernels.shares import BlobRoom, LoopShare, Portion
from tests.conftest import until

ROOM = 40_000_000
FROM_GATEWAY = frozenset({Kind.CLAIM, Kind.RESULT, Kind.ERROR, Kind.SAVE})


class Other:
    """The kernel's end, in our hands."""

    def __init__(self, sock):
        self.sock, self.decoder = sock, Decoder(Limits(), FROM_GATEWAY)
        sock.setblocking(False)

    async def send(self, *messages):
        for message in messages:
            for frame in encode(message):
                await asyncio.get_running_loop().sock_sendall(self.sock, frame)

    async def raw(self, data):
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self, count):
        messages = []
        while len(messages) < count:
            messages += self.decoder.feed(await asyncio.get_running_loop().sock_recv(self.sock, 1 << 16))
        return messages


@pytest.fixture
async def ends():
    ours, theirs = socket.socketpair()
    limits, portion = Limits(max_body_bytes=30_000_000), Portion(LoopShare(0.25))
    bridge, other = Bridge(ours, limits, 4, 2, portion, BlobRoom(ROOM), BlobRoom(ROOM)), Other(theirs)
    yield bridge, other
    await bridge.close()
    ours.close()
    theirs.close()


async def claim(bridge, other, handler):
    claiming = asyncio.create_task(bridge.claim({"key": "k"}, handler))
    (message,) = await other.receive(1)
    assert (message.kind, message.head) == (Kind.CLAIM, {"key": "k"})
    await other.send(Message(Kind.CLAIMED, 0))
    await claiming
    bridge.begin_cell()


async def echo(message):
    return Message(Kind.RESULT, message.id, {"value": message.head}, message.body)


async def test_requests_are_answered_under_their_ids(ends):
    bridge, other = ends
    await claim(bridge, other, echo)
    await other.send(*(Message(Kind.CALL, n, {"n": n}) for n in range(1, 4)))
    assert sorted((m.id, m.head["value"]["n"]) for m in await other.receive(3)) == [(1, 1), (2, 2), (3, 3)]


async def test_a_small_answer_is_not_held_up_by_a_20_mb_one(ends):
    bridge, other = ends
    await claim(bridge, other, echo)
    await other.send(Message(Kind.WRITE, 1, {}, bytes(20_000_000)), *(Message(Kind.CALL, n, {}) for n in range(2, 5)))
    assert [message.id for message in await other.receive(4)][-1] == 1


@pytest.mark.parametrize(
    "messages",
    [
        [Message(Kind.CALL, 1)],  # before it was claimed
        [Message(Kind.CLAIMED, 0)],  # nobody claimed it
        [Message(Kind.READY, 0), Message(Kind.READY, 0)],
    ],
)
async def test_a_message_out_of_turn_ends_the_channel(ends, messages):
    bridge, other = ends
    await other.send(*messages)
    assert (await bridge.broken).startswith(BROKE_PROTOCOL)


async def test_an_id_that_is_still_being_answered_may_not_be_used_again(ends):
    bridge, other = ends
    forever = asyncio.Event()

    async def slow(message):
        await forever.wait()

    await claim(bridge, other, slow)
    await other.send(Message(Kind.CALL, 7), Message(Kind.CALL, 7))
    assert (await bridge.broken).startswith(BROKE_PROTOCOL)


async def test_bytes_that_are_no_frames_end_the_channel(ends):
    bridge, other = ends
    await other.raw(b"GET / HTTP/1.1\r\n\r\n")
    assert (await bridge.broken).startswith(BROKE_PROTOCOL)


async def test_no_more_requests_are_worked_on_at_once_than_allowed(ends):
    bridge, other = ends
    working, most, go = 0, 0, asyncio.Event()

    async def counted(message):
        nonlocal working, most
        working += 1
        most = max(most, working)
        await go.wait()
        working -= 1
        return await echo(message)

    await claim(bridge, other, counted)
    await other.send(*(Message(Kind.CALL, n) for n in range(1, 20)))
    while most < 4:
        await asyncio.sleep(0)
    go.set()
    await other.receive(19)
    assert most == 4


async def test_a_kernel_that_sends_more_than_its_pace_is_not_read_for_a_while(ends, monkeypatch):
    monkeypatch.setattr("kernel_gateway.kernels.bridge.SECONDS_PER_MESSAGE", 3600)
    monkeypatch.setattr("kernel_gateway.kernels.bridge.BURST_SECONDS", 3 * 3600)
    bridge, other = ends
    started = []

    async def noted(message):
        started.append(message.id)
        return await echo(message)

    await claim(bridge, other, noted)
    for number in range(1, 4):  # with CLAIMED they are four
        await other.send(Message(Kind.CALL, number))
        await other.receive(1)
    await other.send(Message(Kind.CALL, 4))
    for _ in range(100):
        await asyncio.sleep(0)
    assert started == [1, 2, 3]


async def test_a_burst_costs_no_pause_and_more_costs_its_share(ends):
    bridge, _ = ends
    pauses = [bridge._pause(now=5.0) for _ in range(200)]
    assert pauses[:100] == pytest.approx([0.0] * 100)
    assert pauses[100:] == pytest.approx([number / 1000 for number in range(1, 101)])
    assert bridge._pause(now=5.101) == pytest.approx(0.0)


async def test_a_kernel_that_does_not_read_its_blobs_gets_no_more_of_them(ends):
    bridge, other = ends
    started = []

    async def large(message):
        started.append(message.id)
        return Message(Kind.RESULT, message.id, {}, bytes(10_000_000))

    await claim(bridge, other, large)
    await other.send(*(Message(Kind.READ, n) for n in range(1, 5)))
    await until(lambda: len(started) == 2)
    for _ in range(100):
        await asyncio.sleep(0)
    assert started == [1, 2], "two wait to be read, the others were not even fetched"
    assert sorted(message.id for message in await other.receive(4)) == [1, 2, 3, 4]


async def test_when_the_kernel_is_gone_the_reason_is_known(ends):
    bridge, other = ends
    other.sock.close()
    assert await bridge.broken in ("it closed the sixth channel", "the channel failed: Connection reset by peer")


def half(message):
    *frames, _ = encode(message)
    return b"".join(frames)


async def test_what_is_half_sent_is_dropped_with_its_cell_and_the_kernel_is_told(ends):
    bridge, other = ends
    await claim(bridge, other, echo)
    whole = b"".join(encode(Message(Kind.WRITE, 1, {}, bytes(20_000_000))))
    sent = len(half(Message(Kind.WRITE, 1, {}, bytes(20_000_000))))
    await other.raw(whole[:sent])
    await until(lambda: bridge._decoder._open and bridge._decoder._open[1].received > sent - 300_000)
    bridge.end_cell()
    assert (bridge._room.held, len(bridge._decoder._open[1].data)) == (0, 0)
    await other.raw(whole[sent:])
    (answer,) = await other.receive(1)
    assert (answer.kind, answer.id, answer.head["code"]) == (Kind.ERROR, 1, "denied")


async def test_between_two_cells_no_blob_is_kept(ends):
    bridge, other = ends
    await claim(bridge, other, echo)
    bridge.end_cell()
    await other.send(Message(Kind.WRITE, 1, {}, bytes(1_000_000)), Message(Kind.CALL, 2, {"n": 2}))
    assert {m.id: m.head.get("code", "") for m in await other.receive(2)} == {1: "denied", 2: ""}


async def test_an_answer_that_is_not_taken_is_dropped_with_its_cell_and_the_kernel_is_told(ends):
    bridge, other = ends

    async def large(message):
        return Message(Kind.RESULT, message.id, {}, bytes(10_000_000))

    await claim(bridge, other, large)
    await other.send(Message(Kind.READ, 1), Message(Kind.READ, 2))
    await until(lambda: bridge._room.held == 20_000_000)
    bridge.end_cell()
    assert bridge._room.held == 0
    answers = await other.receive(2)
    assert [answer.head.get("code") for answer in answers] == ["denied", "denied"]
    await other.send(Message(Kind.CALL, 3, {}))
    bridge.begin_cell()
    (answer,) = await other.receive(1)
    assert (answer.kind, len(answer.body)) == (Kind.RESULT, 10_000_000)


@pytest.mark.parametrize(("size", "code"), [(20_000_000 - 2, ""), (20_000_000 - 1, "limited")])
async def test_all_kernels_together_hold_so_many_bytes_and_no_more(ends, size, code):
    bridge, other = ends
    await claim(bridge, other, echo)
    assert bridge._room.take(20_000_000)  # another kernel's
    await other.send(Message(Kind.WRITE, 1, {}, bytes(size)))
    (answer,) = await other.receive(1)
    assert answer.head.get("code", "") == code
    await until(lambda: bridge._room.held == 20_000_000)


async def test_a_channel_that_ends_gives_its_room_back(ends):
    bridge, other = ends
    await claim(bridge, other, echo)
    await other.raw(half(Message(Kind.WRITE, 1, {}, bytes(600_000))))
    await until(lambda: bridge._room.held == 600_002)
    await bridge.close()
    assert bridge._room.held == 0


class Nowhere:
    async def put(self, chunks):
        pass

    async def commit(self, manifest):
        pass


@pytest.fixture
async def saving(ends):
    """`(bridge, other, save)`: between two cells the kernel was asked to save, and has sent half a blob."""
    bridge, other = ends
    await claim(bridge, other, echo)
    bridge.end_cell()
    died = asyncio.get_running_loop().create_future()
    save = asyncio.create_task(bridge.keeping.save(Order(1, 1.0, 1000), Nowhere(), died))
    assert [message.kind for message in await other.receive(1)] == [Kind.SAVE]
    await other.raw(half(Message(Kind.CHUNKS, 1, {"chunks": []}, bytes(600_000))))
    await until(lambda: bridge._decoder._open and bridge._decoder._open[1].received > 500_000)
    assert bridge._room.held > 600_000
    return bridge, other, save


async def test_what_is_half_sent_is_dropped_at_the_end_of_a_save(saving):
    bridge, other, save = saving
    await other.send(Message(Kind.SAVED, 2, {"cell": 1, "stopped": "Stopped"}))
    assert await save is False
    assert (bridge._room.held, len(bridge._decoder._open[1].data)) == (0, 0)


async def test_where_a_cell_has_begun_it_is_dropped_with_the_cell(saving):
    bridge, other, save = saving
    bridge.begin_cell()
    await other.send(Message(Kind.SAVED, 2, {"cell": 1, "stopped": "Stopped"}))
    assert await save is False
    assert bridge._room.held > 600_000
    bridge.end_cell()
    assert bridge._room.held == 0
