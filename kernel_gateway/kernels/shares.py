"""What all kernels together may take of the gateway: of its event loop's time, and of memory for blobs on their way.

A kernel that sends little is served at once, from its own portion. Those that send more are served in turn, out of one
share: however many they are, the rest of the loop is everybody else's.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from kernel_gateway.kernels.settings import KernelSettings

OWN_SHARE = 0.005
"""Of the loop, a kernel's own: ten small cells a second. Fifty kernels have a quarter together."""
OWN_BURST_SECONDS = 0.02
"""Work that a kernel may cause at once: forty small cells, or a full-size picture."""
BURST_SECONDS = 0.002
"""Work that those in turn may cause at once: about what one turn takes, so that turns are short stalls."""


class LoopShare:
    """The event loop's time for kernels that have used up their own."""

    def __init__(self, share: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._share, self._paid_until = share, 0.0
        self._waiting: deque[Callable[[], None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<LoopShare {self._share:g}, {len(self._waiting)} wait>"

    def charge(self, seconds: float, now: float) -> None:
        self._paid_until = max(self._paid_until, now) + seconds / self._share

    def has_room(self, now: float) -> bool:
        return not self._waiting and self._free_at() <= now

    def wait(self, go_on: Callable[[], None]) -> None:
        """Calls `go_on` in its turn, one a turn of the loop."""
        self._waiting.append(go_on)
        self._set_timer()

    def leave(self, go_on: Callable[[], None]) -> None:
        if go_on in self._waiting:
            self._waiting.remove(go_on)

    def _free_at(self) -> float:
        return self._paid_until - BURST_SECONDS / self._share

    def _set_timer(self) -> None:
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_at(self._free_at(), self._next)

    def _next(self) -> None:
        self._timer = None
        try:
            if self._waiting:
                self._waiting.popleft()()
        finally:
            self._set_timer()


class Portion:
    """One kernel's. `clock` counts seconds of work: this thread's processor time, so no busy host."""

    def __init__(self, all_: LoopShare, clock: Callable[[], float] = time.thread_time) -> None:
        self._loop, self._all, self.clock = asyncio.get_running_loop(), all_, clock
        self._paid_until = 0.0

    def __repr__(self) -> str:
        return f"<Portion of {self._all!r}>"

    def charge(self, seconds: float) -> bool:
        """For work just done. Whether more may be done at once; else `wait`."""
        now = self._loop.time()
        paid_until = max(self._paid_until, now) + seconds / OWN_SHARE
        if paid_until - now <= OWN_BURST_SECONDS / OWN_SHARE:
            self._paid_until = paid_until
            return True
        self._all.charge(seconds, now)
        return self._all.has_room(now)

    def wait(self, go_on: Callable[[], None]) -> None:
        self._all.wait(go_on)

    def leave(self, go_on: Callable[[], None]) -> None:
        """It is not called any more."""
        self._all.leave(go_on)

    async def turn(self) -> None:
        turn = self._loop.create_future()

        def go_on() -> None:
            if not turn.done():
                turn.set_result(None)

        self.wait(go_on)
        try:
            await turn
        finally:
            self.leave(go_on)


class BlobRoom:
    """Bytes that are held for kernels: blobs half received, worked on or not yet taken; or state not yet written."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held = 0

    def __repr__(self) -> str:
        return f"<BlobRoom {self.held} of {self._max_bytes} bytes>"

    def take(self, size: int) -> bool:
        if self.held + size > self._max_bytes:
            return False
        self.held += size
        return True

    def give(self, size: int) -> None:
        self.held -= size


class Shares:
    """One of each, for all kernels of a gateway."""

    def __init__(self, settings: KernelSettings) -> None:
        self.loop, self.blobs = LoopShare(settings.loop_share), BlobRoom(settings.max_blob_bytes_of_all)
        self.unwritten = BlobRoom(settings.max_unwritten_bytes_of_all)

    def __repr__(self) -> str:
        return f"<Shares {self.loop!r}, {self.blobs!r}>"
