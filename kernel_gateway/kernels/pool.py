"""Ready kernels, so that a session takes one at once. One template an organisation: what siblings share stays inside.

Every change of state is synchronous and says what is still to be done; only `take` and the tasks it starts do I/O.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from kernel_gateway.crash import places
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.launchers import Launcher
from kernel_gateway.kernels.settings import PoolSettings
from kernel_gateway.kernels.sources import Source, Sources

log = logging.getLogger(__name__)

RETRY_FIRST_SECONDS, RETRY_LAST_SECONDS = 0.25, 30.0  # a template that was killed is back at once, a broken host later


@dataclass(frozen=True, slots=True)
class Assignment:
    """What `assign` decided. `kernel` is None where none is ready: one has to be started from `source`."""

    source: Source
    kernel: Kernel | None
    refill: tuple[Source, ...]
    close: tuple[Source, ...]


class Pool:
    def __init__(
        self,
        new_launcher: Callable[[], Launcher],
        start_kernel: Callable[[Launcher], Awaitable[Kernel]],
        settings: PoolSettings,
        clock: Callable[[], float] = time.monotonic,
        version: Callable[[], str] = lambda: "",
    ) -> None:
        self._start_kernel, self._settings, self._clock = start_kernel, settings, clock
        self._sources = Sources(new_launcher, settings, clock, version)
        self._tasks: set[asyncio.Task[None]] = set()
        self._refilling: set[Source] = set()
        self._tending: asyncio.Task[None] | None = None
        self._closed: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Pool {self._sources}>"

    def start(self) -> None:
        """Warms the first template before anybody comes."""
        self._closed = asyncio.get_running_loop().create_future()
        if self._settings.ready:
            self._do(self._refill(self._sources.new()))
        self._tending = asyncio.create_task(self._tend(), name="pool")

    async def take(self, organisation: str) -> Kernel:
        """An unclaimed kernel that no other organisation shares a template with.

        Raises GatewayError("sandbox" | "limited").
        """
        assignment = self.assign(organisation)
        for source in assignment.close:
            self._do(self._close(source))
        for source in assignment.refill:
            self._refill_later(source)
        return assignment.kernel or await self._next(assignment.source)

    def assign(self, organisation: str) -> Assignment:
        """Raises GatewayError("limited") where every template is in use by another organisation."""
        sources = self._sources
        close = sources.retire()
        source = sources.of(organisation, close)
        source.organisation, source.used_at = organisation, self._clock()
        kernel = source.next_ready()
        spare = sources.spare()
        return Assignment(source, kernel, (source, spare) if spare else (source,), tuple(close))

    async def close(self) -> None:
        for source in self._sources.all:
            source.retired = True  # nothing is filled again
        if self._tending is not None and self._closed is not None and not self._closed.done():
            self._tending.cancel()
            self._closed.set_result(None)
        await self._settled()  # what is being started is let come up: it ends the cleaner
        kernels = [kernel for source in self._sources.all for kernel in source.living]
        await asyncio.gather(*(kernel.stop("the gateway stopped") for kernel in kernels))
        await self._settled()  # the last kernel of a template takes it along
        await asyncio.gather(*(self._close(source) for source in list(self._sources.all)))

    async def _settled(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _next(self, source: Source) -> Kernel:
        """The next kernel that comes up, whoever it was started for: a start that is under way is not begun again."""
        waiter: asyncio.Future[Kernel] = asyncio.get_running_loop().create_future()
        source.waiting.append(waiter)
        if source.starting < len(source.waiting):
            self._do(self._supply(source))
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._hand_over(source, waiter.result())
            raise

    async def _supply(self, source: Source) -> None:
        """One kernel for who waits longest, or for the ready ones. A failure is told to who waits, or raised."""
        try:
            kernel = await self._start(source)
        except Exception as error:
            if (waiter := source.first_waiting()) is None:
                raise
            waiter.set_exception(error)
        else:
            self._hand_over(source, kernel)

    def _hand_over(self, source: Source, kernel: Kernel) -> None:
        if (waiter := source.first_waiting()) is not None:
            waiter.set_result(kernel)
        elif source.retired or len(source.ready) >= self._settings.ready:
            self._do(kernel.stop("nobody waits for it"))
        else:
            source.ready.append(kernel)
            kernel.died.add_done_callback(partial(self._lost, source, kernel))

    async def _start(self, source: Source) -> Kernel:
        source.starting += 1
        source.started += 1
        try:
            kernel = await self._start_kernel(source.launcher)
        except BaseException:
            if source.retired:
                self._do(self._close(source))
            raise
        finally:
            source.starting -= 1
        source.living.add(kernel)
        kernel.gone.add_done_callback(lambda _: self._buried(source, kernel))
        return kernel

    def _buried(self, source: Source, kernel: Kernel) -> None:
        source.living.discard(kernel)
        if source.retired and not source.living and source in self._sources.all:
            self._do(self._close(source))

    def _lost(self, source: Source, kernel: Kernel, _: object) -> None:
        """A kernel that dies while it waits has nobody else to bury it."""
        if kernel in source.ready:
            source.ready.remove(kernel)
            self._do(kernel.stop())
            if not source.retired:
                self._refill_later(source)

    def _refill_later(self, source: Source) -> None:
        if source not in self._refilling:
            self._do(self._refill(source))

    async def _refill(self, source: Source) -> None:
        """One after the other, so that a session that starts meanwhile is not in a queue behind all of them."""
        self._refilling.add(source)
        try:
            patience = RETRY_FIRST_SECONDS
            while not source.retired and len(source.ready) < self._settings.ready:
                try:
                    await self._supply(source)
                except Exception as error:
                    log.error("no kernel is kept ready: %s", _said(error))
                    await self._pause(patience)
                    patience = min(2 * patience, RETRY_LAST_SECONDS)
            if source.retired:
                await self._close(source)
        finally:
            self._refilling.discard(source)

    async def _pause(self, seconds: float) -> None:
        """Until then, or the pool is closed."""
        assert self._closed is not None
        await asyncio.wait({self._closed}, timeout=seconds)

    async def _close(self, source: Source) -> None:
        """Ends what nobody uses; the template stays until the last session's kernel is gone."""
        ready, source.ready = source.ready, deque()
        await asyncio.gather(*(kernel.stop("its template was retired") for kernel in ready))
        if not source.living and not source.starting and source in self._sources.all:
            self._sources.all.remove(source)
            await source.launcher.close()

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(self._settings.tend_seconds)
            self._replace()

    def _replace(self) -> None:
        """What is old, idle or of another image than there is now. One is warm again before anybody comes."""
        for source in self._sources.retire():
            self._do(self._close(source))
        if self._settings.ready and not self._sources.living():
            self._do(self._warm())

    async def _warm(self) -> None:
        await self._refill(self._sources.new())

    def _do(self, work: "Awaitable[None]") -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("work of the pool failed: %s", _said(error))


def _said(error: BaseException) -> str:
    """For the log: what was anticipated in its words, a crash by its places alone."""
    return error.message if isinstance(error, GatewayError) else places(error)
