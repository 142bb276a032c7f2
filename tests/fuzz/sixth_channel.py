"""Plays a kernel that says anything in any order on the sixth channel; checks what the gateway's end makes of it."""

import asyncio
import contextlib
import socket
from typing import Any

from kernel_ext.wire import Decoder, Kind, Limits, Message, WireError, encode
from kernel_gateway.kernels.bridge import BROKE_PROTOCOL, Bridge
from kernel_gateway.kernels.shares import BlobRoom, LoopShare, Portion

LIMITS = Limits(max_head_bytes=2048, max_body_bytes=4096, max_open_messages=4, max_open_bytes=16384)
MAX_CONCURRENT, MAX_READS = 3, 2
FROM_GATEWAY = frozenset({Kind.CLAIM, Kind.RESULT, Kind.ERROR})
REASONS = (BROKE_PROTOCOL, "it closed the sixth channel", "the channel failed", "closed")
_TURNS = 6  # of the loop between two steps: enough for a frame to become a request


async def drive(data: bytes) -> None:
    """Each step is an opcode, and up to three bytes of what it needs."""
    failures: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        portion, room = Portion(LoopShare(1.0), lambda: 0.0), BlobRoom(LIMITS.max_open_bytes)
        kernel = _Kernel(Bridge(ours, LIMITS, MAX_CONCURRENT, MAX_READS, portion, room, room), theirs)
        try:
            for at in range(0, min(len(data), 400), 4):
                await kernel.step(*data[at : at + 4].ljust(4, b"\0"))
                kernel.check()
        finally:
            await kernel.close()
        kernel.check()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not failures, failures


class _Kernel:
    def __init__(self, bridge: Bridge, sock: socket.socket) -> None:
        self.bridge, self.sock = bridge, sock
        sock.setblocking(False)
        self.decoder = Decoder(Limits(), FROM_GATEWAY)
        self.asked: list[int] = []
        self.working: list[tuple[Message, asyncio.Future[None]]] = []
        self.claims: list[asyncio.Task[None]] = []

    async def step(self, code: int, kind: int, id_: int, size: int) -> None:
        step = code % 8
        if step == 0 and not self.claims:
            self.claims.append(asyncio.create_task(self.bridge.claim({"key": "k"}, self.handle)))
        elif step == 1:
            self.write(*encode(Message(Kind(1 + kind % 9), id_ % 5, {"n": id_}, bytes(size * 17))))
        elif step == 2:  # a frame whose parts do not fit together
            head = (b"{}" * (size % 3)) + bytes(size)
            sizes = (size % 5).to_bytes(4, "big") + (id_ * 20).to_bytes(8, "big")
            payload = sizes + head if kind & 1 else head
            self.write(bytes([1, kind % 11, 0, kind >> 4]) + (id_ % 5).to_bytes(4, "big"))
            self.write((len(payload) + size % 2).to_bytes(4, "big") + payload)
        elif step == 3:
            self.write(bytes([kind, id_, size]))
        elif step == 4 and self.working:
            _, release = self.working[id_ % len(self.working)]
            if not release.done():
                release.set_result(None)
        elif step == 5:
            self.read()
        elif step == 6:
            self.write(*encode(Message(Kind.CLAIMED, 0)))
        elif step == 7 and kind > 200:
            self.sock.shutdown(socket.SHUT_WR)
        elif step == 7 and kind & 1:
            self.bridge.begin_cell()
        elif step == 7:
            self.bridge.end_cell()
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def handle(self, message: Message) -> Message:
        release: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (message, release)
        self.working.append(entry)
        try:
            await release
        finally:
            self.working.remove(entry)
        if message.head.get("n") == 13:
            raise ValueError("the handler crashed")
        return Message(Kind.RESULT, message.id, {}, bytes(len(message.body)))

    def write(self, *pieces: bytes) -> None:
        for piece in pieces:
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                self.sock.send(piece)

    def read(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionResetError, WireError):
            for message in self.decoder.feed(self.sock.recv(1 << 16)):
                assert message.kind in FROM_GATEWAY

    def check(self) -> None:
        bridge = self.bridge
        assert len(self.working) <= MAX_CONCURRENT
        assert len(bridge._requests) <= MAX_CONCURRENT
        assert sum(bridge._held.values()) == bridge._room.held <= LIMITS.max_open_bytes
        assert len({message.id for message, _ in self.working}) == len(self.working)
        assert bool(self.claims) or not self.working, "nobody answers a kernel that nobody has claimed"
        assert bridge.broken.done() or not any(task.done() for task in bridge._tasks)
        if bridge.broken.done():
            assert bridge.broken.result().startswith(REASONS)
            assert bridge.ready.done() and bridge._claimed.done()

    async def close(self) -> None:
        await self.bridge.close()
        assert self.bridge.broken.done()
        for claim in self.claims:
            claim.cancel()
        await asyncio.gather(*self.claims, return_exceptions=True)
        assert not self.working and not self.bridge._requests
