"""The gateway's end of the sixth channel: frames to messages, requests to a handler, answers back, interleaved.

Everything the kernel sends is hostile input: its bounds are checked before it is parsed, its ids before they are used,
and a kernel that breaks the protocol is finished (`broken` says why).
"""

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from kernel_ext.wire import Decoder, Kind, Limits, Message, WireError, encode
from kernel_gateway.crash import places

log = logging.getLogger(__name__)

Handler = Callable[[Message], Awaitable[Message]]

REQUESTS = frozenset({Kind.CALL, Kind.SEARCH, Kind.READ, Kind.WRITE})
_ACCEPTS = REQUESTS | {Kind.READY, Kind.CLAIMED}
_READ_BYTES = 256 * 1024
BROKE_PROTOCOL = "it broke the protocol of"

SECONDS_PER_MESSAGE = 0.001
"""Between two, on average: each costs the event loop 0.1 ms, so that a kernel takes a tenth of it from all others."""
BURST_SECONDS = 0.1
"""A hundred messages may come at once: more than a cell may have under way."""


class Bridge:
    """Owns `sock`. `ready` and `broken` are futures: the kernel's own words, and why the channel ended."""

    def __init__(self, sock: socket.socket, limits: Limits, max_concurrent: int, max_concurrent_reads: int) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[dict[str, Any]] = loop.create_future()
        self.broken: asyncio.Future[str] = loop.create_future()
        self._claimed: asyncio.Future[None] = loop.create_future()
        self._sock, self._decoder = sock, Decoder(limits, _ACCEPTS)
        # Both are held until the kernel has taken the answer: one that reads slowly, or not at all, fills no memory.
        self._slots, self._reads = asyncio.Semaphore(max_concurrent), asyncio.Semaphore(max_concurrent_reads)
        self._handler: Handler | None = None
        self._requests: dict[int, asyncio.Task[None]] = {}
        self._outgoing: deque[tuple[Iterator[bytes], asyncio.Future[None]]] = deque()
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

    async def close(self) -> None:
        tasks = [*self._tasks, *self._requests.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._end("closed")

    async def _send(self, message: Message) -> None:
        """Until the last frame has left, or none can any more."""
        sent = asyncio.get_running_loop().create_future()
        self._outgoing.append((encode(message), sent))
        self._writable.set()
        either: set[asyncio.Future[Any]] = {sent, self.broken}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        self._sock.setblocking(False)
        try:
            while data := await loop.sock_recv(self._sock, _READ_BYTES):
                for message in self._decoder.feed(data):
                    await self._dispatch(message)
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
                frames, sent = self._outgoing.popleft()
                if (frame := next(frames, None)) is not None:
                    self._outgoing.append((frames, sent))
                    await loop.sock_sendall(self._sock, frame)
                elif not sent.done():
                    sent.set_result(None)
        except OSError as error:
            self._end(f"the channel failed: {error.strerror}")

    async def _dispatch(self, message: Message) -> None:
        if message.kind is Kind.READY and not self.ready.done():
            self.ready.set_result(message.head)
        elif message.kind is Kind.CLAIMED and self._handler is not None and not self._claimed.done():
            self._claimed.set_result(None)
        elif message.kind in REQUESTS and self._handler is not None and message.id not in self._requests:
            await self._slots.acquire()  # the kernel waits, unread, while too many of its requests are worked on
            task = asyncio.create_task(self._answer(self._handler, message))
            self._requests[message.id] = task
        else:
            raise WireError(f"{message!r} out of turn")

    async def _answer(self, handler: Handler, message: Message) -> None:
        id_, reads = message.id, message.kind is Kind.READ
        try:
            async with self._reads if reads else contextlib.nullcontext():
                answer = await self._handled(handler, message)
                del message  # and its body, which is done with
                await self._send(answer)
        finally:
            del self._requests[id_]
            self._slots.release()

    async def _handled(self, handler: Handler, message: Message) -> Message:
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
