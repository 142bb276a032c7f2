"""The kernel of a session: not there yet, there, gone, or at rest on the disk. Only the cell that has it can call."""

import asyncio
from collections.abc import Callable
from typing import Any

from kernel_ext.wire import Kind, Message
from kernel_gateway.audit.lifecycle import SessionRestored
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Account, Cell, Recorded
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.deadline import Deadline
from kernel_gateway.kernels.kernel import Kernel, Outcome
from kernel_gateway.sessions.life import Life, Ran
from kernel_gateway.sessions.restoring import News, Restoring
from kernel_gateway.sessions.saving import Saving
from kernel_gateway.sessions.services import Services
from kernel_gateway.sessions.sources import Source
from kernel_gateway.sessions.turns import Stop

SWITCHED_OFF = "it was switched off"
ATTEMPTS = 3  # of kernels that end while they are restored: each time without what ended the one before


class Seat:
    """`kernel` is there while one runs; `began_at` is its first cell. `news` is for the next answer. `is_empty` says
    that no kernel was ever there, so that there is nothing to restore."""

    def __init__(
        self, session_id: str, life: Life, account: Account, saving: Saving | None, services: Services
    ) -> None:
        self._session_id, self._life, self._account = session_id, life, account
        self._saving, self._services = saving, services
        self.kernel: Kernel | None = None
        self.is_empty = life.cells == 0
        self.began_at = 1
        self.news = News()
        self.halted = ""
        self._cell: Cell | None = None
        self._stop: Stop | None = None
        self._requests: set[asyncio.Future[Message]] = set()
        durable = services.durable
        self._restore_seconds = durable.settings.restore_seconds if durable is not None else None

    def __repr__(self) -> str:
        return f"<Seat {self.kernel or ('empty' if self.is_empty else 'at rest')}>"

    @property
    def is_taken(self) -> bool:
        return self.kernel is not None and not self.kernel.died.done()

    async def taken(self, principal: Principal, check: Callable[[], None], stop: Stop) -> Kernel | None:
        """The session's kernel; a new one holds what the last one held. `check` raises where it may not be any more.

        None where `stop` came first. Raises GatewayError sandbox | kernel_died | deadline, and what `check` raises.
        """
        if self.kernel is not None and self.kernel.died.done():
            await self.bury(self.kernel)
        for attempts_left in reversed(range(ATTEMPTS)):
            if self.kernel is not None:
                break
            try:
                await self._take(principal, check, stop)
            except GatewayError as error:
                check()
                if error.code != "kernel_died" or not attempts_left:
                    raise
            if stop.done():
                return None
        return self.kernel

    async def _take(self, principal: Principal, check: Callable[[], None], stop: Stop) -> None:
        """It is in the seat from its start, so that whoever ends the session ends it too."""
        kernel = await self._services.take_kernel(self._life.owner.organisation)
        preparing = asyncio.ensure_future(self._prepare(kernel, principal, check))
        try:
            check()
            self.kernel = kernel
            first: set[asyncio.Future[Any]] = {preparing, stop}
            await asyncio.wait(first, timeout=self._restore_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not preparing.done() and not stop.done():
                message = f"bringing the session back took over {self._restore_seconds:g} s; send the cell again"
                raise GatewayError("deadline", message)
            if preparing.done():
                preparing.result()
                self.began_at, self.is_empty, self._life.is_fresh = self._life.cells + 1, False, False
                return
        except BaseException:
            await self._clear(kernel, preparing)
            raise
        await self._clear(kernel, preparing)

    async def _clear(self, kernel: Kernel, preparing: "asyncio.Future[None]") -> None:
        if self.kernel is kernel:
            self.kernel = None
        await kernel.stop()
        preparing.cancel()
        await asyncio.gather(preparing, return_exceptions=True)

    async def _prepare(self, kernel: Kernel, principal: Principal, check: Callable[[], None]) -> None:
        await kernel.claim(self._services.manifest(principal), self.answer, self._life.cells + 1)
        if not self.is_empty:
            await self._restore(kernel, principal)
        check()

    async def run(self, kernel: Kernel, cell: Cell, code: str, deadline: Deadline | float, stop: Stop) -> Outcome:
        """Whatever is still under way when the cell ends is ended with it."""
        self._cell, self._stop, self.halted = cell, stop, ""
        try:
            return await kernel.run(code, deadline, stop)
        finally:
            self._cell = self._stop = None
            await self.end_requests()

    def interrupt(self) -> bool:
        """Interrupts the running cell. False where none runs."""
        if self._stop is None or self._stop.done():
            return False
        self._stop.set_result(None)
        return True

    async def halt(self, reason: str, grace_seconds: float) -> None:
        """Interrupts the cell and, after the grace at the latest, ends the kernel.

        A kernel that is just being started is not there yet: it is refused before its cell begins.
        """
        kernel = self.kernel
        if kernel is None:
            return
        if self._cell is not None:
            self.halted = reason
            self.interrupt()
            await asyncio.wait({kernel.died}, timeout=grace_seconds)
        await kernel.stop(SWITCHED_OFF)

    async def answer(self, message: Message) -> Message:
        """The inner door, for this session's kernel: what it may do depends on the cell that holds the turn now.

        Whatever is still under way when the cell ends is ended with it, so that nothing acts unseen afterwards; what
        cannot be ended half-way is waited for.
        """
        request = asyncio.ensure_future(self._services.broker.answer(message, self._account, self._cell))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)  # one that is cancelled is there until it has ended
        try:
            await asyncio.wait({request})
        finally:
            request.cancel()
        if request.cancelled():
            return Message(
                Kind.ERROR, message.id, {"code": "denied", "message": "the cell ended before the answer came"}
            )
        return request.result()

    async def end_requests(self) -> None:
        requests = list(self._requests)
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)

    async def leave(self, cause: str) -> None:
        """Ends the kernel. What is committed can be restored."""
        kernel, self.kernel = self.kernel, None
        self.is_empty |= self._saving is None
        if kernel is not None:
            await kernel.stop(cause)

    async def bury(self, kernel: Kernel) -> None:
        """A dead kernel took along what is not kept; the next answer says so, once."""
        await kernel.stop()
        self.kernel = None
        if self._saving is None:
            first, last = self.began_at, self._life.cells
            cells = f"cells {first} to {last}" if first < last else f"cell {last}"
            lost = f"all variables and files of {cells}: the kernel is gone, {kernel.died.result()}"
            self.news, self.is_empty = News(lost=[lost]), True
            self._life.losses += 1

    async def _restore(self, kernel: Kernel, principal: Principal) -> None:
        """What cannot be had any more is told with the next answer."""
        saving, durable = self._saving, self._services.durable
        assert saving is not None
        assert durable is not None

        async def rerun(ran: Ran, source: Source, answers: bytes) -> str:
            recorded = Recorded(answers)
            cell = Cell(principal, self._session_id, ran.number, ran.cell_id, recorded=recorded)
            never: Stop = asyncio.get_running_loop().create_future()
            status = (await self.run(kernel, cell, source.code, ran.timeout_seconds, never)).status
            return "not_available" if recorded.is_short and status != "lost" else status

        restoring = Restoring(self._session_id, self._life, durable)
        saving.committed, news = await restoring.restore(kernel, rerun)
        news.lost[:0] = self.news.lost
        self.news = news
        self._life.losses += bool(self.news.lost)
        owner = self._life.owner
        self._services.record(
            SessionRestored(
                at=self._services.clock(),
                organisation=owner.organisation,
                subject=owner.subject,
                client=owner.client,
                session_id=self._session_id,
                cell=saving.committed,
                rerun=len(self.news.rerun),
                lost=len(self.news.lost),
            )
        )
