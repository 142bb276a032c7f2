"""One of a kernel's Unix sockets: what it sends becomes messages, a turn of work at a time.

A message costs a direct call and no task. A kernel that has caused more work than its portion is not read until its
turn comes, so that all kernels together take a bounded share of the event loop; what waits waits in the kernel.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from kernel_gateway.crash import places
from kernel_gateway.kernels.bridge import BROKE_PROTOCOL
from kernel_gateway.kernels.shares import Portion
from kernel_gateway.kernels.zmtp import Bounds, Decoder, ZmtpError, encode, opening

log = logging.getLogger(__name__)

FRAMES_AT_ONCE = 200
"""About 28 messages: to drop one takes 0.01 ms, to show one up to 0.1 ms."""

Messages = Callable[[list[bytes]], None]


class Stream(asyncio.Protocol):
    """Gives each message to `on_message`, and the reason of its end to `on_lost`, once."""

    def __init__(
        self,
        name: str,
        socket_type: str,
        bounds: Bounds,
        portion: Portion,
        on_message: Messages,
        on_lost: Callable[[str], None],
    ) -> None:
        self._name, self._socket_type, self._portion = name, socket_type, portion
        self._waiting = b""
        self._decoder = Decoder(bounds)
        self._on_message, self._on_lost = on_message, on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
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
        self._portion.leave(self._go_on)
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(opening(self._socket_type))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(f"its {self._name} connection ended")

    def data_received(self, data: bytes) -> None:
        began = self._portion.clock()
        self._decoder.feed(data)
        self._work(began)

    def _work(self, began: float) -> None:
        before = self._decoder.frames
        try:
            for parts in self._decoder.take(FRAMES_AT_ONCE):
                self._on_message(parts)
        except ZmtpError as error:
            self._end(f"{BROKE_PROTOCOL} its {self._name} connection: {error}")
        except Exception as error:
            log.error("reading a kernel's message failed: %s", places(error))
            self._end(f"its {self._name} connection could not be read")
        if self._waiting and self._decoder.ready:
            self._send_waiting()
        if self._decoder.pong:
            self._answer_ping()
        goes_on = self._portion.charge(self._portion.clock() - began)
        if self._over or self._transport is None:
            return
        if not goes_on:
            self._transport.pause_reading()
            self._portion.wait(self._go_on)
        elif self._decoder.frames - before >= FRAMES_AT_ONCE:
            self._transport.pause_reading()
            self._loop.call_soon(self._go_on)
        else:
            self._transport.resume_reading()

    def _go_on(self) -> None:
        if not self._over:
            self._work(self._portion.clock())

    def _answer_ping(self) -> None:
        """Unless earlier words still wait: who does not read gets no heap of pongs."""
        pong, self._decoder.pong = self._decoder.pong, b""
        if self._transport is not None and not self._over and not self._transport.get_write_buffer_size():
            self._transport.write(pong)

    def _end(self, reason: str) -> None:
        if not self._over:
            self.close()
            self._on_lost(reason)
