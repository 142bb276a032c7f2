"""One of a kernel's Unix sockets: what it sends becomes messages, a slice of work at a time.

A message costs a direct call and no task. A kernel that sends more than a slice allows is not read until the next one,
so that it takes a bounded share of the event loop from all others; what waits meanwhile waits in the kernel.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from kernel_gateway.crash import places
from kernel_gateway.kernels.bridge import BROKE_PROTOCOL
from kernel_gateway.kernels.zmtp import Bounds, Decoder, ZmtpError, encode, opening

log = logging.getLogger(__name__)

SLICE_SECONDS = 0.01
SLICE_FRAMES = 1_000
"""About 140 messages, which is 14,000 a second: to drop one takes 0.01 ms."""
SLICE_BYTES = 2 * 1024 * 1024
"""Which is 200 MB a second: to copy so many takes about 1 ms."""

Messages = Callable[[list[bytes]], None]


class Stream(asyncio.Protocol):
    """Gives each message to `on_message`, and the reason of its end to `on_lost`, once."""

    def __init__(
        self, name: str, socket_type: str, bounds: Bounds, on_message: Messages, on_lost: Callable[[str], None]
    ) -> None:
        self._name, self._socket_type = name, socket_type
        self._waiting = b""
        self._decoder = Decoder(bounds)
        self._on_message, self._on_lost = on_message, on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._slice_ends = 0.0
        self._frames, self._bytes = SLICE_FRAMES, SLICE_BYTES
        self._next_slice: asyncio.TimerHandle | None = None
        self._over = False

    def __repr__(self) -> str:
        return f"<Stream {self._name} {'over' if self._over else 'open'}>"

    async def connect(self, path: str) -> None:
        await self._loop.create_unix_connection(lambda: self, path)

    def send(self, parts: Sequence[bytes]) -> None:
        """A message that is sent before the kernel is there waits for it."""
        self._waiting += encode(parts)
        if self._decoder.ready:
            self._send_waiting()

    def _send_waiting(self) -> None:
        if self._transport is not None and not self._over:
            self._transport.write(self._waiting)
        self._waiting = b""

    def close(self) -> None:
        self._over = True
        if self._next_slice is not None:
            self._next_slice.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(opening(self._socket_type))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(f"its {self._name} connection ended")

    def data_received(self, data: bytes) -> None:
        now = self._loop.time()
        if now >= self._slice_ends:
            self._begin_slice(now)
        self._bytes -= len(data)
        self._decoder.feed(data)
        self._work()

    def _begin_slice(self, now: float) -> None:
        self._slice_ends = now + SLICE_SECONDS
        self._frames, self._bytes = SLICE_FRAMES, SLICE_BYTES

    def _work(self) -> None:
        before = self._decoder.frames
        try:
            for parts in self._decoder.take(self._frames):
                self._on_message(parts)
        except ZmtpError as error:
            self._end(f"{BROKE_PROTOCOL} its {self._name} connection: {error}")
        except Exception as error:
            log.error("reading a kernel's message failed: %s", places(error))
            self._end(f"its {self._name} connection could not be read")
        self._frames -= self._decoder.frames - before
        if self._waiting and self._decoder.ready:
            self._send_waiting()
        if self._decoder.pong:
            self._answer_ping()
        if (self._frames <= 0 or self._bytes <= 0) and not self._over:
            self._wait_for_next_slice()

    def _wait_for_next_slice(self) -> None:
        assert self._transport is not None
        self._transport.pause_reading()
        self._next_slice = self._loop.call_at(self._slice_ends, self._go_on)

    def _go_on(self) -> None:
        assert self._transport is not None
        self._begin_slice(self._loop.time())
        self._transport.resume_reading()
        self._work()

    def _answer_ping(self) -> None:
        """Unless earlier words still wait: who does not read gets no heap of pongs."""
        pong, self._decoder.pong = self._decoder.pong, b""
        if self._transport is not None and not self._over and not self._transport.get_write_buffer_size():
            self._transport.write(pong)

    def _end(self, reason: str) -> None:
        if not self._over:
            self.close()
            self._on_lost(reason)
