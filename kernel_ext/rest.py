"""What a kernel does when nobody has sent it a cell for a moment: it gives back memory that it does not need.

Nothing else may run meanwhile, so the kernel's threads are stopped for a millisecond at a time. With a thread of a
cell's own nothing is done.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tornado.ioloop import IOLoop

from kernel_ext.pages import Origin

QUIET_SECONDS = 1.0  # longer than a program takes to its next cell, shorter than most agents think
_STOP_SECONDS = 0.05  # a thread that has not stopped by then is at work

Stop = Callable[[Callable[[], None]], object]
"""Has a thread call what it is given, and do nothing else meanwhile."""


class Rest:
    """`stops` are the kernel's own threads, but for the one that runs cells and calls this."""

    def __init__(self, origin: Origin, loop: IOLoop, stops: list[Stop]) -> None:
        self._origin, self._loop, self._stops = origin, loop, stops
        self._next: object | None = None

    def soon(self) -> None:
        """A cell has ended."""
        self.disturb()
        self._next = self._loop.call_later(QUIET_SECONDS, lambda: self._go_on(self._origin.give_back()))

    def disturb(self) -> None:
        """A cell begins."""
        if self._next is not None:
            self._loop.remove_timeout(self._next)
            self._next = None

    def _go_on(self, slices: Iterator[int]) -> None:
        with self._alone() as alone:
            done = not alone or next(slices, None) is None
        self._next = None if done else self._loop.call_later(0, self._go_on, slices)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether no other thread can run until this is left."""
        stopped, goes_on = threading.Semaphore(0), threading.Event()

        def hold() -> None:
            stopped.release()
            goes_on.wait()

        try:
            for stop in self._stops:
                stop(hold)
            all_stopped = all(stopped.acquire(timeout=_STOP_SECONDS) for _ in self._stops)
            yield all_stopped and len(sys._current_frames()) == 1 + len(self._stops)
        finally:
            goes_on.set()
