"""A kernel's connection, on a real socket: a flood takes its share of the event loop and no more."""

import asyncio
import socket

import pytest

from kernel_gateway.kernels.shares import OWN_BURST_SECONDS, LoopShare, Portion
from kernel_gateway.kernels.stream import FRAMES_AT_ONCE, Stream
from kernel_gateway.kernels.zmtp import Bounds, Decoder, encode, opening
from tests.conftest import until

HELLO = opening("ROUTER")


class WorkClock:
    seconds = 0.0

    def __call__(self):
        return self.seconds

    def pass_(self, seconds):
        self.seconds += seconds


work_clock = WorkClock()


@pytest.fixture
async def connected(tmp_path):
    """`await connected(on_message)` -> the stream, the kernel's end of it, and what was lost."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{tmp_path}/k")
    listener.listen()
    held = [listener]

    async def connect(on_message):
        lost = []
        portion = Portion(LoopShare(0.25), work_clock)
        stream = Stream("shell", "DEALER", Bounds(16 * 1024 * 1024, 256), portion, on_message, lost.append)
        await stream.connect(f"{tmp_path}/k")
        other, _ = listener.accept()
        other.setblocking(False)
        held.extend((other, stream))
        return stream, other, lost

    yield connect
    for each in held:
        each.close()


async def send(sock, data):
    await asyncio.get_running_loop().sock_sendall(sock, data)


async def test_at_once_so_many_frames_are_read_and_the_rest_in_turn(connected):
    got = []
    stream, other, _ = await connected(got.append)
    stream.data_received(HELLO + encode([b"x"]) * (3 * FRAMES_AT_ONCE))
    assert (len(got), stream._transport.is_reading()) == (FRAMES_AT_ONCE - 1, False)  # READY is one
    await until(lambda: len(got) == 3 * FRAMES_AT_ONCE)
    await send(other, encode([b"last"]))
    await until(lambda: got[-1] == [b"last"])


@pytest.mark.parametrize(("work", "goes_on"), [(OWN_BURST_SECONDS, True), (OWN_BURST_SECONDS + 0.01, False)])
async def test_beyond_its_portion_and_what_is_free_a_kernel_is_not_read(connected, work, goes_on):
    stream, _, _ = await connected(lambda _: work_clock.pass_(work))
    stream.data_received(HELLO + encode([b"x"]))
    assert stream._transport.is_reading() is goes_on


async def test_commands_are_work_like_messages(connected):
    stream, _, _ = await connected(lambda _: None)
    stream.data_received(HELLO + b"\x04\x00" * FRAMES_AT_ONCE)
    assert not stream._transport.is_reading()


async def test_a_message_sent_before_the_kernel_is_there_waits_for_it(connected):
    stream, other, _ = await connected(lambda _: None)
    stream.send([b"first"])
    stream.send([b"second"])
    decoder, loop = Decoder(Bounds(1000, 10)), asyncio.get_running_loop()
    decoder.feed(await loop.sock_recv(other, 4096))
    assert decoder.take(10) == [] and decoder.ready
    await send(other, HELLO)
    decoder.feed(await loop.sock_recv(other, 4096))
    assert decoder.take(10) == [[b"first"], [b"second"]]


async def test_who_sends_pings_and_reads_nothing_gets_no_heap_of_pongs(connected):
    stream, other, _ = await connected(lambda _: None)
    await send(other, HELLO)
    await until(lambda: stream._decoder.ready)
    ping = b"\x04\xfa\x04PING\0\0" + bytes(243)
    for _ in range(5000):
        stream.data_received(ping)
    assert stream._transport.get_write_buffer_size() < 1000


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.1\r\n" * 4, "it broke the protocol of its shell connection: not a greeting"),
        (HELLO + encode([b""] * 257), "it broke the protocol of its shell connection: a message has more than 256"),
        (None, "its shell connection ended"),
    ],
)
async def test_the_end_has_its_reason_once(connected, data, why):
    _, other, lost = await connected(lambda _: None)
    if data is None:
        other.close()
    else:
        await send(other, data)
    await until(lambda: lost)
    other.close()
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(lost) == 1
    assert lost[0].startswith(why)


async def test_a_crash_over_a_message_ends_the_connection_and_names_no_content(connected, caplog):
    def crash(parts):
        raise ValueError(parts)

    _, other, lost = await connected(crash)
    await send(other, HELLO + encode([b"what the cell said"]))
    await until(lambda: lost)
    assert lost == ["its shell connection could not be read"]
    assert "what the cell" not in caplog.text
