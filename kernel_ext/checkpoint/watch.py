"""Looks, while objects' own code runs, whether a cell waits or the time is over."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from kernel_ext.checkpoint.books import Budget
from kernel_ext.checkpoint.pickling import Stopped, TooMuch

_EVERY_SECONDS: Final = 0.02  # a waiting cell does not notice it; code that never ends does


class Watch:
    """`budget` from now on by `clock`; any one step may take half of what is left, so that none takes all."""

    def __init__(self, budget: Budget, stop: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._stop, self._clock, self._budget = stop, clock, budget
        self._end = self._until = clock() + budget.seconds
        self._foreign = False

    def look(self, size: int = 0) -> None:
        """`size` in bytes is of what is being pickled. Raises Stopped and TooMuch."""
        self.stop_if_waited_for()
        if self._clock() > self._until:
            raise TooMuch(f"saving it takes longer than the {self._budget.seconds:g} s of a save allow")
        if size > self._budget.bytes:
            raise TooMuch(f"it takes more than the {self._budget.bytes} bytes of a save")

    def stop_if_waited_for(self) -> None:
        """Raises Stopped."""
        if self._stop():
            raise Stopped

    @contextmanager
    def step(self) -> Iterator[None]:
        """What runs in it may be code of the session, and is interrupted."""
        now = self._clock()
        self._until = now + (self._end - now) / 2
        self._foreign = True
        try:
            yield
        finally:
            self._foreign = False
            self._until = self._end

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """Not where a cell uses the process's only such timer itself, and not outside the main thread."""
        if threading.current_thread() is not threading.main_thread() or signal.getitimer(signal.ITIMER_REAL)[0]:
            yield
            return
        before = signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, _EVERY_SECONDS, _EVERY_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)

    def _ring(self, *_: Any) -> None:
        """Never raises into our own books or into what hands out chunks."""
        if self._foreign:
            self.look()
