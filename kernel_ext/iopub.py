"""Publishes on the thread that has something to say, one message at a time.

ipykernel hands every message to a thread of its own, which costs two wakes a message and a dozen a cell. Here the
thread remains for what comes by itself: subscriptions, and the flush of a stream 0.2 s after a print.
"""

import threading
from collections.abc import Callable
from signal import default_int_handler
from typing import Any

import zmq
from ipykernel.iostream import IOPubThread, OutStream


class Publisher(IOPubThread):  # type: ignore[misc]
    """A socket used from several threads under a lock. An interrupt waits until the message of a cell is out, whole."""

    def __init__(self, socket: Any, session: Any) -> None:
        self._turn = threading.RLock()
        self._runs_cells = threading.get_ident()  # Python runs signal handlers on the main thread, which made this
        self._cell_is_sending = self._interrupted = False
        super().__init__(socket, pipe=False, session=session)

    def _setup_event_pipe(self) -> None:
        """Nothing is handed to the thread."""

    def _setup_xpub_listener(self) -> None:
        """Even to ask the socket whether something came is to use it, so it is asked in turn; a ZMQStream would not."""
        self.io_loop.add_handler(self.socket.getsockopt(zmq.FD), self._look_for_subscriptions, self.io_loop.READ)

    def _thread_main(self) -> None:
        """Without the task that tidies after the pipe there is not."""
        if not self._stopped:
            self.io_loop.start()
        self.io_loop.close(all_fds=True)

    def schedule(self, act: Callable[[], None]) -> None:
        """Acts now, on this thread."""
        if threading.get_ident() != self._runs_cells or self._cell_is_sending:
            with self._turn:
                act()
            return
        self._cell_is_sending = True
        try:
            with self._turn:
                act()
        finally:
            self._cell_is_sending = False
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt

    def on_interrupt(self, number: int, frame: Any) -> None:
        """SIGINT's handler while a cell runs: half a message would spoil all that follow."""
        if self._cell_is_sending:
            self._interrupted = True
        else:
            default_int_handler(number, frame)

    def _really_send(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        super()._really_send(msg, *args, **kwargs)
        if self.socket is not None and self.socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            # A send takes away the edge that would have woken the thread for a subscription.
            self.io_loop.add_callback(self._look_for_subscriptions)

    def _look_for_subscriptions(self, *_: Any) -> None:
        with self._turn:
            while self.socket is not None and self.socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
                self._handle_subscription(self.socket.recv_multipart())


class Stream(OutStream):  # type: ignore[misc]
    """stdout and stderr: a flush is done when it returns, without waiting for another thread."""

    _flush_pending: bool

    def flush(self) -> None:
        """In the publisher's turn throughout: what another thread has taken to send is out before this returns."""
        if self.pub_thread is not None:
            self.pub_thread.schedule(self._flush)

    def _schedule_flush(self) -> None:
        if not self._flush_pending:
            self._flush_pending = True
            self._io_loop.add_callback(self._flush_later)

    def _flush_later(self) -> None:
        self._io_loop.call_later(self.flush_interval, self.flush)
