"""The sixth channel: sends a request, awaits its answer. The only file that knows the transport.

One daemon thread does all reading and writing, because Python delivers an interrupt to the main thread only:
a cell that is interrupted while it waits can never leave half a frame on the socket.
"""

import itertools
import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Any

from kernel_ext.errors import ToolError
from kernel_ext.wire import MAX_ID, Decoder, Kind, Limits, Message, WireError, encode

# A gateway answer may carry a whole blob, and the gateway is trusted: the bounds only keep a bug from eating the heap.
_FROM_GATEWAY = Limits(max_head_bytes=16 * 1024 * 1024, max_head_values=16 * 1024 * 1024)
_ACCEPTS = frozenset({Kind.CLAIM, Kind.RESULT, Kind.ERROR, Kind.SAVE, Kind.YIELD, Kind.LOAD})
_READ_BYTES = 256 * 1024


class Channel:
    """`request` and `submit` may be called from any thread. `on_message` gets what answers no request."""

    def __init__(
        self, sock: socket.socket, on_message: Callable[[Message], None], on_closed: Callable[[], None]
    ) -> None:
        self._sock, self._on_message, self._on_closed = sock, on_message, on_closed
        self._sock.setblocking(False)
        self._ids = itertools.cycle(range(1, MAX_ID))
        self._waiting: dict[int, Future[Message]] = {}
        self._outgoing: deque[Iterator[bytes]] = deque()
        self._holds: list[Callable[[], None]] = []
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="sixth-channel", daemon=True)

    def __repr__(self) -> str:
        return f"<Channel {'closed' if self._closed else 'open'}, {len(self._waiting)} waiting>"

    def start(self) -> None:
        self._thread.start()

    def stop(self, hold: Callable[[], None]) -> None:
        """Calls `hold` on the channel's thread, which does nothing else meanwhile."""
        self._holds.append(hold)
        os.eventfd_write(self._wake_fd, 1)

    def send(self, message: Message) -> None:
        self._outgoing.append(encode(message))
        os.eventfd_write(self._wake_fd, 1)

    def submit(self, kind: Kind, head: dict[str, Any], body: bytes = b"") -> "Future[Message]":
        """The future answer. It fails with ToolError, never with anything else."""
        future: Future[Message] = Future()
        future.set_running_or_notify_cancel()  # nobody can cancel it: a late answer still finds its place
        if self._closed:
            future.set_exception(ToolError("unavailable", "the gateway closed the connection"))
            return future
        id_ = next(self._ids)
        self._waiting[id_] = future
        try:
            self.send(Message(kind, id_, head, body))
        except (TypeError, ValueError) as error:
            del self._waiting[id_]
            future.set_exception(ToolError("invalid", f"arguments must be plain JSON values: {error}"))
        return future

    def request(self, kind: Kind, head: dict[str, Any], body: bytes = b"") -> Message:
        """The answer. Raises ToolError, with a traceback that shows the cell and not the transport below it."""
        __tracebackhide__ = True
        future = self.submit(kind, head, body)
        wait([future])
        if (error := future.exception()) is not None:
            raise error.with_traceback(None) from None
        return future.result()

    def _run(self) -> None:
        decoder = Decoder(_FROM_GATEWAY, _ACCEPTS)
        chunk = memoryview(b"")
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_fd, selectors.EVENT_READ)
            selector.register(self._sock, selectors.EVENT_READ)
            try:
                while True:
                    wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if chunk or self._outgoing else 0)
                    selector.modify(self._sock, wanted)
                    for key, events in selector.select():
                        if key.fd == self._wake_fd:
                            os.eventfd_read(self._wake_fd)
                            while self._holds:
                                self._holds.pop()()
                        elif events & selectors.EVENT_READ:
                            self._receive(decoder)
                    chunk = self._transmit(chunk)
            except (OSError, EOFError, WireError):
                self._close()

    def _receive(self, decoder: Decoder) -> None:
        try:
            data = self._sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise EOFError
        for message in decoder.feed(data):
            future = self._waiting.pop(message.id, None) if message.kind in (Kind.RESULT, Kind.ERROR) else None
            if future is None:
                self._on_message(message)
            elif message.kind is Kind.RESULT:
                future.set_result(message)
            else:
                head = message.head
                future.set_exception(ToolError(head["code"], head["message"], head.get("retry_after")))

    def _transmit(self, chunk: memoryview) -> memoryview:
        """Writes while the socket takes it: one frame of each message in turn, so that none waits for a long one."""
        while True:
            if not chunk:
                if not self._outgoing:
                    return chunk
                frames = self._outgoing.popleft()
                if (frame := next(frames, None)) is None:
                    continue
                self._outgoing.append(frames)
                chunk = memoryview(frame)
            try:
                chunk = chunk[self._sock.send(chunk) :]
            except BlockingIOError:
                return chunk

    def _close(self) -> None:
        self._closed = True
        self._sock.close()
        for future in list(self._waiting.values()):
            future.set_exception(ToolError("unavailable", "the gateway closed the connection"))
        self._waiting.clear()
        self._on_closed()


_attached: Channel | None = None


def attach(channel: Channel) -> None:
    """Makes `channel` the one this process calls through."""
    global _attached
    _attached = channel


def attached() -> Channel:
    """The channel of this process. Raises ToolError outside a gateway's kernel."""
    if _attached is None:
        raise ToolError("unavailable", "this kernel was not started by a kernel gateway, so there is nothing to call")
    return _attached
