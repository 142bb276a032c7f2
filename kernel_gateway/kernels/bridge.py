"""The gateway's end of the sixth channel: frames to messages, requests to a handler, answers back, interleaved.

Everything the kernel sends is hostile input: its bounds are checked before it is parsed, its ids before they are used,
and a kernel that breaks the protocol is finished (`broken` says why). What is half sent, either way, is held while a
cell runs, or the kernel saves, and there is room for it; then it is dropped, and the kernel told so.
"""

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from kernel_ext.wire import Decoder, Kind, Limits, Message, WireError, encode
from kernel_gateway.crash import places
from kernel_gateway.kernels.keeping import STATE, Keeping
from kernel_gateway.kernels.shares import BlobRoom, Portion

log = logging.getLogger(__name__)

Handler = Callable[[Message], Awaitable[Message]]

REQUESTS = frozenset({Kind.CALL, Kind.SEARCH, Kind.READ, Kind.WRITE})
_ACCEPTS = REQUESTS | STATE | {Kind.READY, Kind.CLAIMED}
_ASKING = REQUESTS | STATE | {Kind.DROPPED}
_NO_ROOM = {"code": "limited", "message": "too many blobs are on their way; try again in a second", "retry_after": 1.0}
_NO_CELL = {"code": "denied", "message": "the cell ended before the blob was through; send it from a running cell"}
_READ_BYTES = 256 * 1024
BROKE_PROTOCOL = "it broke the protocol of"

COST_SECONDS = 0.0001
"""What a message costs the event loop beyond its parsing, as it is charged to the kernel's portion."""
SECONDS_PER_MESSAGE = 0.001
"""Between two, on average, however much room there is: so that a kernel takes a tenth of the event loop at most."""
BURST_SECONDS = 0.1
"""A hundred messages may come at once: more than a cell may have under way."""


class _Outgoing:
    __slots__ = ("frames", "id", "sent")

    def __init__(self, message: Message) -> None:
        self.id, self.frames = message.id, encode(message)
        self.sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def give_up(self, why: dict[str, Any]) -> None:
        """Says so instead of the rest, unless all has left."""
        if next(self.frames, None) is not None:
            self.frames = encode(Message(Kind.ERROR, self.id, why))


class Bridge:
    """Owns `sock`. `ready` and `broken` are futures: the kernel's own words, and why the channel ended.

    What a kernel says of its state goes to `keeping`, everything else to the handler of its claim.
    """

    def __init__(
        self,
        sock: socket.socket,
        limits: Limits,
        max_concurrent: int,
        max_concurrent_reads: int,
        portion: Portion,
        room: BlobRoom,
        unwritten: BlobRoom,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[dict[str, Any]] = loop.create_future()
        self.broken: asyncio.Future[str] = loop.create_future()
        self._claimed: asyncio.Future[None] = loop.create_future()
        self._sock, self._decoder = sock, Decoder(limits, _ACCEPTS, self._admit)
        self._portion, self._room = portion, room
        self._held: dict[int, int] = {}  # bytes of the room by the request that they belong to
        self._in_cell = False
        # Both are held until the kernel has taken the answer: one that reads slowly, or not at all, fills no memory.
        self._slots, self._reads = asyncio.Semaphore(max_concurrent), asyncio.Semaphore(max_concurrent_reads)
        self._handler: Handler | None = None
        self.keeping = Keeping(self._post, unwritten, self._end_save)
        self._requests: dict[int, asyncio.Task[None]] = {}
        self._outgoing: deque[_Outgoing] = deque()
        self._writable = asyncio.Event()
        self._paid_until = 0.0
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]

    def __repr__(self) -> str:
        state = "broken" if self.broken.done() else "claimed" if self._claimed.done() else "unclaimed"
        return f"<Bridge {state}, {len(self._requests)} requests>"

    async def claim(self, head: dict[str, Any], handler: Handler) -> None:
        """Gives the kernel its identity; from here on `handler` answers its requests."""
        self._handler = handler
        await self._send(Message(Kind.CLAIM, 0, head))
        await self._claimed

    def begin_cell(self) -> None:
        """From here on blobs may be on their way."""
        self._in_cell = True

    def end_cell(self) -> None:
        self._in_cell = False
        self._drop_halves()

    def _end_save(self) -> None:
        if not self._in_cell:
            self._drop_halves()

    def _drop_halves(self) -> None:
        """Of what is half sent, either way: nobody is left to wait for it."""
        for id_ in self._decoder.drop_open():
            self._give_room(id_)
        for each in self._outgoing:
            if each.id in self._held:
                each.give_up(_NO_CELL)
                self._give_room(each.id)

    def _admit(self, id_: int, size: int) -> bool:
        is_awaited = self._in_cell or self.keeping.is_saving
        return is_awaited and id_ not in self._requests and self._take_room(id_, size)

    def _take_room(self, id_: int, size: int) -> bool:
        if id_ in self._held or not self._room.take(size):
            return False
        self._held[id_] = size
        return True

    def _give_room(self, id_: int) -> None:
        self._room.give(self._held.pop(id_, 0))

    async def close(self) -> None:
        tasks = [*self._tasks, *self._requests.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for id_ in list(self._held):
            self._give_room(id_)
        self._end("closed")

    def _post(self, message: Message) -> _Outgoing:
        outgoing = _Outgoing(message)
        self._outgoing.append(outgoing)
        self._writable.set()
        return outgoing

    async def _send(self, message: Message) -> None:
        """Until the last frame has left, or none can any more."""
        outgoing = self._post(message)
        del message  # and its body, which the frames alone hold
        either: set[asyncio.Future[Any]] = {outgoing.sent, self.broken}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        self._sock.setblocking(False)
        try:
            while data := await loop.sock_recv(self._sock, _READ_BYTES):
                began = self._portion.clock()
                messages = self._decoder.feed(data)
                if not self._portion.charge(self._portion.clock() - began):
                    await self._portion.turn()
                for message in messages:
                    await self._dispatch(message)
                    if not self._portion.charge(COST_SECONDS):
                        await self._portion.turn()
                    if pause := self._pause(loop.time()):
                        await asyncio.sleep(pause)
                await asyncio.sleep(0)  # a kernel that never stops sending still lets everybody else run
            self._end("it closed the sixth channel")
        except WireError as error:
            self._end(f"{BROKE_PROTOCOL} the sixth channel: {error}")
        except OSError as error:
            self._end(f"the channel failed: {error.strerror}")

    def _pause(self, now: float) -> float:
        """Seconds until the next message is taken, after one more."""
        self._paid_until = max(self._paid_until, now) + SECONDS_PER_MESSAGE
        return max(0.0, self._paid_until - now - BURST_SECONDS)

    async def _write(self) -> None:
        """One frame of each answer in turn, so that a small answer never waits for a large one."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._writable.wait()
                if not self._outgoing:
                    self._writable.clear()
                    continue
                outgoing = self._outgoing.popleft()
                if (frame := next(outgoing.frames, None)) is not None:
                    self._outgoing.append(outgoing)
                    await loop.sock_sendall(self._sock, frame)
                elif not outgoing.sent.done():
                    outgoing.sent.set_result(None)
        except OSError as error:
            self._end(f"the channel failed: {error.strerror}")

    async def _dispatch(self, message: Message) -> None:
        if message.kind is Kind.READY and not self.ready.done():
            self.ready.set_result(message.head)
        elif message.kind is Kind.CLAIMED and self._handler is not None and not self._claimed.done():
            self._claimed.set_result(None)
        elif self._is_request(message):
            await self._slots.acquire()  # the kernel waits, unread, while too many of its requests are worked on
            handler = self.keeping.answer if message.kind in STATE else self._handler
            task = asyncio.create_task(self._answer(handler, message))
            self._requests[message.id] = task
        else:
            raise WireError(f"{message!r} out of turn")

    def _is_request(self, message: Message) -> bool:
        return message.kind in _ASKING and self._handler is not None and message.id not in self._requests

    async def _answer(self, handler: Handler | None, message: Message) -> None:
        id_, reads = message.id, message.kind is Kind.READ
        try:
            async with self._reads if reads else contextlib.nullcontext():
                answer = await self._handled(handler, message)
                del message  # and its body, which is done with
                self._give_room(id_)
                if answer.body and not (self._in_cell and self._take_room(id_, len(answer.body))):
                    answer = self._dropped(id_)
                sending = self._send(answer)
                del answer
                await sending
        finally:
            self._give_room(id_)
            del self._requests[id_]
            self._slots.release()

    def _dropped(self, id_: int) -> Message:
        return Message(Kind.ERROR, id_, _NO_ROOM if self._in_cell else _NO_CELL)

    async def _handled(self, handler: Handler | None, message: Message) -> Message:
        if handler is None or message.kind is Kind.DROPPED:
            return self._dropped(message.id)
        try:
            return await handler(message)
        except Exception as error:
            # The handler answers its own failures; this is a crash, and not even its place leaves the host.
            log.error("request handler crashed: %s", places(error))
            return Message(Kind.ERROR, message.id, {"code": "internal", "message": "the gateway failed"})

    def _end(self, reason: str) -> None:
        if not self.broken.done():
            self.broken.set_result(reason)
        for future in (self.ready, self._claimed):
            if not future.done():
                future.cancel()
