"""One agent's session: a kernel that remembers, a count of cells, one cell at a time."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from catalog import Operation
from kernel_ext.wire import Kind, Message
from kernel_gateway.audit.events import CellRan
from kernel_gateway.auth.delegation import opener
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Account, Broker, Cell
from kernel_gateway.crash import crashed
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.deadline import Deadline
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.limits.idempotency import Origin
from kernel_gateway.limits.switch import Refusing
from kernel_gateway.limits.usage import Usage
from kernel_gateway.policy.review import remember
from kernel_gateway.sessions.ended import event_of, result_of
from kernel_gateway.sessions.pausing import Pausing
from kernel_gateway.sessions.permit import Permit, Redeem
from kernel_gateway.sessions.result import ExecuteRequest, ExecuteResult
from kernel_gateway.sessions.settings import SessionSettings
from kernel_gateway.sessions.turns import NoAnswerError, Stop, Turn
from kernel_gateway.store.vault import Write

log = logging.getLogger(__name__)

RETRY_BUSY_SECONDS = 5.0  # most cells take less
_EPOCH = 0  # of the session's branch: no session goes back to an earlier cell yet
SWITCHED_OFF = "it was switched off"


@dataclass(frozen=True, slots=True)
class Services:
    """What every session needs from the rest. `digest(organisation, content)` is keyed per organisation, and
    `take_kernel(organisation)` gives a kernel that shares a template with no other organisation's."""

    take_kernel: Callable[[str], Awaitable[Kernel]]
    manifest: Callable[[Principal], dict[str, object]]
    broker: Broker
    switch: Refusing
    record: Callable[[CellRan, Write | None], None]
    flush: Callable[[], Awaitable[None]]
    digest: Callable[[str, bytes], str]
    clock: Callable[[], float]
    new_id: Callable[[str], str]
    keep_source: Callable[[Cell, str], Write | None]
    pausing: Pausing | None = None  # without it nobody can be asked, and what needs an approval is refused


class Session:
    """Belongs to `owner.identity`. `grant` is what its opener could do: no later token of the caller can do more."""

    def __init__(self, id_: str, owner: Principal, services: Services, settings: SessionSettings) -> None:
        self.id, self.owner = id_, opener(owner)
        self.grant, self.asker = self.owner.scopes, self.owner
        self._services, self._settings = services, settings
        self.opened_at = self.used_at = services.clock()
        self.cells, self.last_cell_id = 0, ""
        self.helpers: dict[str, Any] = {}
        self.account = Account(session_id=id_, organisation=owner.organisation)
        self._kernel: Kernel | None = None
        self._cell: Cell | None = None
        self._stop: Stop | None = None
        self._halted = ""
        self._kernel_began_at, self._kernels_lost = 1, 0
        self._requests: set[asyncio.Future[Message]] = set()
        self._lost: tuple[str, ...] = ()
        self._turn = asyncio.Lock()
        self._waiting, self._closed = 0, False

    def __repr__(self) -> str:
        return f"<Session {self.id} of {self.owner.subject}: {self.cells} cells, {self.state}>"

    @property
    def state(self) -> str:
        if self._closed:
            return "closed"
        return "busy" if self._turn.locked() else "idle"

    @property
    def version(self) -> str:
        """Another one whenever its variables may be: a cell has run, or a kernel was lost."""
        return f"{self._kernels_lost}:{self.cells}"

    async def execute(self, request: ExecuteRequest, turn: Turn, redeem: Redeem) -> ExecuteResult:
        """Runs one cell in its turn, under what `redeem` permits; `turn.stop` interrupts it.

        Raises GatewayError busy | not_found | sandbox, and what `redeem` raises.
        """
        if not await self._take_turn(turn.stop):
            return ExecuteResult("interrupted", self.id, self.cells)
        before = self.cells
        try:
            self._refuse_closed()
            self.used_at = self._services.clock()
            permit = await redeem()
            if isinstance(permit, ExecuteResult):
                return permit
            self.asker = permit.principal
            result = await self._run(permit, request, turn)
            self._refuse_closed()
            return result
        except Exception as error:
            if self.cells == before:
                raise  # the cell never ran
            if not isinstance(error, GatewayError):
                error = crashed(error, "a cell's answer", lambda: self._services.new_id("event"))
            raise NoAnswerError(error.code, error.message) from None
        finally:
            self.used_at = self._services.clock()
            self._turn.release()

    async def _end_requests(self) -> None:
        requests = list(self._requests)
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise GatewayError("not_found", "the session was closed; leave out `session_id` to start a new one")

    def refusal(self) -> str:
        """Why the kill switch lets nothing run for whoever asked last; "" where it does."""
        refuses = self._services.switch.refuses
        reasons = (refuses(role=each.role, front_end=each.front_end) for each in self.asker.authorities)
        return next(filter(None, reasons), "")

    def _refuse_off(self) -> None:
        if reason := self.refusal():
            raise GatewayError("disabled", reason)

    async def halt(self, reason: str, grace_seconds: float) -> None:
        """Interrupts the cell and, after the grace at the latest, ends the kernel. The session stays without its state.

        A kernel that is just being started is not there yet: it is refused before its cell begins.
        """
        kernel = self._kernel
        if kernel is None:
            return
        if self._cell is not None:
            self._halted = reason
            self.interrupt()
            await asyncio.wait({kernel.died}, timeout=grace_seconds)
        await kernel.stop(SWITCHED_OFF)

    def interrupt(self) -> bool:
        """Interrupts the running cell. False where none runs."""
        if self._stop is None or self._stop.done():
            return False
        self._stop.set_result(None)
        return True

    async def answer(self, message: Message) -> Message:
        """The inner door, for this session's kernel: what it may do depends on the cell that holds the turn now.

        Whatever is still under way when the cell ends is ended with it, so that nothing acts unseen afterwards; what
        cannot be ended half-way is waited for.
        """
        request = asyncio.ensure_future(self._services.broker.answer(message, self.account, self._cell))
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

    async def close(self) -> None:
        self._closed = True
        if self._kernel is not None:
            await self._kernel.stop("the session was closed")
        await self._end_requests()

    async def _take_turn(self, stop: Stop) -> bool:
        """False where `stop` came first. Raises GatewayError("busy")."""
        ahead = self._waiting + self._turn.locked()
        if ahead > self._settings.max_waiting:
            message = f"session `{self.id}` has {ahead} cells to run first; send them one at a time"
            raise GatewayError("busy", message, retry_after=RETRY_BUSY_SECONDS)
        if not ahead:
            await self._turn.acquire()  # at once: nobody holds it, and nobody waits for it
            return True
        self._waiting += 1
        taken = asyncio.ensure_future(self._turn.acquire())
        first: set[asyncio.Future[Any]] = {taken, stop}
        try:
            await asyncio.wait(first, timeout=self._settings.max_wait_seconds, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if taken.done():
                self._turn.release()
            raise
        finally:
            self._waiting -= 1
            if not taken.done():
                taken.cancel()
        if taken.done() or stop.done():
            return taken.done()
        message = f"session `{self.id}` is still running another cell; try again later"
        raise GatewayError("busy", message, retry_after=RETRY_BUSY_SECONDS)

    async def _run(self, permit: Permit, request: ExecuteRequest, turn: Turn) -> ExecuteResult:
        services = self._services
        await services.flush()  # a journal that cannot be written is no place to run a cell beside
        cell = self._new_cell(permit, request, turn)
        source = services.keep_source(cell, request.code)
        reservation = await services.broker.reserve_time(request.timeout_seconds, self.account, cell)
        duration_ms = 0.0
        try:
            kernel = await self._live_kernel(permit.principal)
            self._refuse_off()
            if turn.stop.done():
                return ExecuteResult("interrupted", self.id, self.cells)  # it never ran, so it does not count
            self.cells, self.last_cell_id = self.cells + 1, cell.cell_id
            cell.is_shared = self.cells > self._kernel_began_at
            remember(self.helpers, permit.definitions)
            started = services.clock()
            self._cell, self._stop, self._halted = cell, turn.stop, ""
            turn.deadline = Deadline(request.timeout_seconds)
            try:
                outcome = await kernel.run(request.code, turn.deadline, turn.stop)
            finally:
                self._cell = self._stop = None
                duration_ms = max(services.clock() - started, 0.0) * 1000
                await self._end_requests()
        finally:
            reservation.commit(Usage(milliseconds=math.ceil(turn.seconds * 1000)))
        if self._halted:
            await kernel.stop(SWITCHED_OFF)
            if outcome.status not in ("ok", "error"):
                outcome = replace(outcome, status="disabled", cause=self._halted)
        if kernel.died.done():
            await self._bury(kernel)
        lost, self._lost = self._lost, ()
        result = result_of(cell, outcome, lost, duration_ms)
        ran = event_of(self.owner, cell, request.code, outcome, result, services.digest, services.clock())
        services.record(ran, source)
        await services.flush()
        return result

    def _new_cell(self, permit: Permit, request: ExecuteRequest, turn: Turn) -> Cell:
        pausing = self._services.pausing

        async def ask(operation: Operation, arguments: Mapping[str, Any], approver: str) -> None:
            assert pausing is not None
            now = replace(permit, terms=replace(permit.terms, state=self.version))
            await pausing.ask(turn, now, operation, arguments, approver)

        cell = Cell(
            permit.principal,
            self.id,
            self.cells + 1,
            self._services.new_id("cell"),
            plan=permit.plan,
            approver=permit.approver,
            approval_id=permit.claims.id if permit.claims is not None else "",
            ask=ask if pausing is not None else None,
            author=request.author,
            parent_id=self.last_cell_id,
        )
        if request.request_id:
            cell.origin = Origin.of_request(request.session_id, _EPOCH, request.code, request.request_id)
        return cell

    async def _live_kernel(self, principal: Principal) -> Kernel:
        if self._kernel is not None and self._kernel.died.done():
            await self._bury(self._kernel)
        if self._kernel is None:
            kernel = await self._services.take_kernel(self.owner.organisation)
            try:
                self._refuse_closed()
                await kernel.claim(self._services.manifest(principal), self.answer, self.cells + 1)
                self._refuse_closed()
                self._refuse_off()
            except BaseException:
                await kernel.stop()
                raise
            self._kernel, self._kernel_began_at = kernel, self.cells + 1
        return self._kernel

    async def _bury(self, kernel: Kernel) -> None:
        """A dead kernel took every variable along; the next answer says so, once."""
        await kernel.stop()
        self._kernel = None
        self._kernels_lost += 1
        self.helpers.clear()
        first, last = self._kernel_began_at, self.cells
        cells = f"cells {first} to {last}" if first < last else f"cell {last}"
        self._lost = (f"all variables and files of {cells}: the kernel is gone, {kernel.died.result()}",)
