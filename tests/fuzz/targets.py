"""What is fuzzed. A target takes any bytes, and raises only where a promise about hostile input is broken.

Errors that are declared (WireError, ZmtpError) are part of the promise, and are caught here.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from kernel_ext import wire
from kernel_gateway.kernels import messages, zmtp
from kernel_gateway.kernels.outputs import SHOWN_KINDS, Outputs
from kernel_gateway.kernels.run import Run
from kernel_gateway.kernels.settings import KernelSettings
from tests.fuzz.sixth_channel import drive

ID = "0123456789abcdef"
KIB = 1024
# All far below the longest input, or nothing would ever come near them.
FRAME_BYTES = 32
WIRE = wire.Limits(max_head_bytes=100, max_body_bytes=200, max_open_messages=4, max_open_bytes=500)
ZMTP = zmtp.Bounds(max_message_bytes=400, max_message_parts=8)
SETTINGS = KernelSettings.model_construct(
    max_output_bytes=8 * KIB, max_output_messages=12, max_reply_bytes=2 * KIB, max_messages_per_second=10
)
SIGNER = messages.Signer(b"key")
KINDS = [*sorted(SHOWN_KINDS), "status", "execute_input", "execute_reply", "comm_open"]
_loop = asyncio.Runner()


def frames(data: bytes) -> None:
    """The sixth channel's decoder: the same messages however the bytes are cut, all within their limits."""
    with short_frames():
        whole, cut = _decoded(data[1:], 1 << 20), _decoded(data[1:], max(1, sum(data[:1])))
    assert cut[: len(whole)] == whole
    assert all(len(each.body) <= WIRE.max_body_bytes for each in cut)


@contextlib.contextmanager
def short_frames() -> Iterator[None]:
    """A message of several frames then fits into a short input."""
    usual, wire.MAX_FRAME_BYTES = wire.MAX_FRAME_BYTES, FRAME_BYTES
    try:
        yield
    finally:
        wire.MAX_FRAME_BYTES = usual


def _decoded(data: bytes, step: int) -> list[wire.Message]:
    """The messages. What comes before an error in the same piece of bytes is lost with it."""
    decoder, found = wire.Decoder(WIRE, frozenset(wire.Kind)), []
    try:
        for at in range(0, len(data), step):
            found += decoder.feed(data[at : at + step])
            assert decoder._open_bytes <= WIRE.max_open_bytes
            assert len(decoder._buffer) < 12 + FRAME_BYTES, "one frame that is not whole"
            for each in decoder._open.values():
                assert len(each.data) <= each.total <= WIRE.max_head_bytes + WIRE.max_body_bytes
    except wire.WireError:
        pass
    return found


def connection(data: bytes) -> None:
    """ZMTP's decoder: the same, and after an error nothing more."""
    step = sum(data[:1])
    stream = (zmtp.opening("ROUTER") if step & 1 else b"") + data[1:]
    whole, cut = _received(stream, 1 << 20), _received(stream, step // 2 + 1)
    assert cut[: len(whole)] == whole
    for parts in cut:
        assert 1 <= len(parts) <= ZMTP.max_message_parts
        assert sum(map(len, parts)) <= ZMTP.max_message_bytes


def _received(stream: bytes, step: int) -> list[list[bytes]]:
    """The messages, fed and taken so many bytes and frames at a time."""
    decoder, found = zmtp.Decoder(ZMTP), []
    try:
        for at in range(0, len(stream), step):
            decoder.feed(stream[at : at + step])
            before = -1
            while before != decoder.frames:
                before = decoder.frames
                found += decoder.take(step)
                assert decoder.frames - before <= step
            assert len(decoder._parts) <= ZMTP.max_message_parts and decoder._bytes <= ZMTP.max_message_bytes
            assert len(decoder._buffer) - decoder._at < max(len(zmtp.opening("")), ZMTP.max_command_bytes + 9)
    except zmtp.ZmtpError:
        assert _stays_broken(decoder)
    return found


def _stays_broken(decoder: zmtp.Decoder) -> bool:
    decoder.feed(zmtp.encode([b"more"]))
    try:
        decoder.take(1)
    except zmtp.ZmtpError:
        return not decoder._buffer
    return False


def answers(data: bytes) -> None:
    """A message's parts, and the content of a message that is well signed whatever it says."""
    parts = data.split(b"\xff\xfe")
    for each in (parts, _signed(parts)):
        found = SIGNER.answer(each, ID)
        assert found is None or (isinstance(found.kind, str) and each is not parts)
        content = None if found is None else messages.read(found.content)
        assert content is None or isinstance(content, dict)


def _signed(parts: list[bytes]) -> list[bytes]:
    signed = (parts + [b"{}"] * 4)[:4]
    return [messages.DELIMITER, SIGNER._sign(signed), *signed]


def outputs(data: bytes) -> None:
    """What a cell shows: lines, each a kind and a content. All kept texts are within bounds and can be written down."""
    shown = Outputs(200, 2)
    for line in data.split(b"\n"):
        if (content := messages.read(line[1:])) is not None:
            shown.take(KINDS[line[0] % len(KINDS)], content)
    texts = [shown.stdout, shown.stderr, shown.result, *(shown.error or ())]
    marker = len("\n[...  characters left out ...]\n") + 20
    assert all(len(text.encode()) <= 4 * (200 + marker + len(shown.shown)) for text in texts)
    assert len(shown.images) <= 2
    assert all(isinstance(image, bytes) for _, image in shown.images)
    assert isinstance(shown.is_truncated, bool)


def cell(data: bytes) -> None:
    """A cell under way: whatever is said, it ends by a reply and an idle of its own, and keeps no more than allowed."""
    _loop.run(_cell(data))


async def _cell(data: bytes) -> None:
    kept = Outputs(1000, 2)
    run = Run(ID, SIGNER, kept, SETTINGS)
    replied = idle = False
    try:
        for now, line in enumerate(data.split(b"\n")):
            kind, flags = KINDS[sum(line[:1]) % len(KINDS)], sum(line[1:2])
            header = b'{"msg_type":"%s"}' % kind.encode()
            parent = b'{"msg_id":"%s"}' % (b"another" if flags & 1 else ID.encode())
            parts = _signed([header, parent, b"{}", line[2:]])
            if flags & 2:
                parts[1] = b"forged"
            ours = not flags & 3 and sum(map(len, parts)) <= SETTINGS.max_reply_bytes
            if flags & 4:
                run.on_shell(parts)
                replied |= ours and kind == "execute_reply"
            else:
                run.on_iopub(parts, now / 8)
                idle |= ours and kind == "status" and b"idle" in line
            assert not run.ended.done() or (replied and idle)
        assert sum(len(each.content) for each in kept.shown) <= 2 * SETTINGS.max_output_bytes
    finally:
        run.close()


def channel(data: bytes) -> None:
    """The gateway's end of the sixth channel, over a real socket."""
    with short_frames():
        _loop.run(drive(data))


def _targets() -> Iterator[Callable[[bytes], None]]:
    yield from (frames, connection, answers, outputs, cell, channel)


TARGETS = {target.__name__: target for target in _targets()}
