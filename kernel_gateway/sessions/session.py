"""One agent's session: a kernel that remembers, a count of cells, one cell at a time."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from catalog import Operation
from kernel_gateway.auth.delegation import opener
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Account, Cell
from kernel_gateway.crash import crashed
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.deadline import Deadline
from kernel_gateway.kernels.kernel import Kernel, Outcome
from kernel_gateway.limits.idempotency import Origin
from kernel_gateway.limits.usage import Usage
from kernel_gateway.policy.review import remember
from kernel_gateway.sessions.ended import event_of, result_of
from kernel_gateway.sessions.life import Life, Ran
from kernel_gateway.sessions.line import Line
from kernel_gateway.sessions.permit import Permit, Redeem
from kernel_gateway.sessions.restoring import News
from kernel_gateway.sessions.result import ExecuteRequest, ExecuteResult
from kernel_gateway.sessions.saving import Saving
from kernel_gateway.sessions.seat import SWITCHED_OFF, Seat
from kernel_gateway.sessions.services import Services
from kernel_gateway.sessions.settings import SessionSettings
from kernel_gateway.sessions.turns import NoAnswerError, Turn
from kernel_gateway.store.vault import Write


class Session:
    """Belongs to `owner.identity`. `grant` is what its opener could do: no later token of the caller can do more.

    `life` is what outlives its kernels; one that is `kept` already begins with it.
    """

    def __init__(
        self, id_: str, owner: Principal, services: Services, settings: SessionSettings, kept: Life | None = None
    ) -> None:
        now = services.clock()
        self.id = id_
        self.life = kept or Life(opener(owner), opened_at=now, used_at=now, lineage=id_)
        self.owner = self.asker = self.life.owner
        self.grant = self.owner.scopes
        self._services, self._settings = services, settings
        self.helpers: dict[str, Any] = {}
        self.is_known = kept is None or not kept.cells  # whether `helpers` has what its cells defined
        self.account = Account(id_, owner.organisation, self.life.calls, self.life.writes)
        self.account.tally.used = self.life.used
        self._line = Line(id_, settings)
        self.saving = _saving(id_, self.life, services, lambda: not self._line.is_taken)
        self.seat = Seat(id_, self.life, self.account, self.saving, services)
        self._closed = False

    def __repr__(self) -> str:
        return f"<Session {self.id} of {self.owner.subject}: {self.cells} cells, {self.state}>"

    @property
    def cells(self) -> int:
        return self.life.cells

    @property
    def opened_at(self) -> float:
        return self.life.opened_at

    @property
    def used_at(self) -> float:
        return self.life.used_at

    @property
    def state(self) -> str:
        if self._closed:
            return "closed"
        if self._line.is_taken:
            return "busy"
        return "idle" if self.seat.kernel is not None or self.seat.is_empty else "hibernated"

    @property
    def version(self) -> str:
        """Another one whenever its variables may be: a cell has run, some were lost, or it went back."""
        return f"{self.life.epoch}:{self.life.losses}:{self.cells}"

    async def execute(self, request: ExecuteRequest, turn: Turn, redeem: Redeem) -> ExecuteResult:
        """Runs one cell in its turn, under what `redeem` permits; `turn.stop` interrupts it.

        Raises GatewayError busy | not_found | sandbox, and what `redeem` raises.
        """
        if not await self._line.enter(turn.stop):
            return ExecuteResult("interrupted", self.id, self.cells)
        before = self.cells
        try:
            self._refuse_closed()
            self.life.used_at = self._services.clock()
            permit = await redeem()
            if isinstance(permit, ExecuteResult):
                return permit
            self.asker = permit.principal
            if self.saving is not None:
                await self.saving.give_way()
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
            self.life.used_at = self._services.clock()
            self._line.leave()
            if self.saving is not None and self.seat.kernel is not None and not self._line.is_taken:
                self.saving.soon(self.seat.kernel)

    async def texts(self) -> list[str]:
        """Of the cells so far, in order; of those that are kept."""
        durable = self._services.durable
        if durable is None or not durable.sources.are_kept:
            return []
        sources, trail = await durable.sources.exact(self.id), await durable.trail.all(self.id)
        return [sources[ran.cell_id].code for ran in trail if ran.cell_id in sources]

    async def go_back(self, back: Callable[[], Awaitable[None]]) -> None:
        """Its kernel goes, and `back` gives it the state of an earlier cell. Raises GatewayError busy, and what `back`
        raises."""
        await self._line.enter(asyncio.get_running_loop().create_future())
        try:
            self._refuse_closed()
            if self.saving is not None:
                self.saving.disturb()
                await self.saving.settled()
            await back()
            await self.seat.leave("the session went back to an earlier cell")
            self.helpers, self.is_known = {}, False
        finally:
            self._line.leave()
            if self.saving is not None and self.seat.kernel is not None:
                self.saving.soon(self.seat.kernel)

    async def settle(self) -> None:
        """Commits what is there, where a kernel has it."""
        kernel = self.seat.kernel
        if self.saving is not None and kernel is not None and not kernel.died.done() and self.life.pending:
            async with self._line.closed():
                await self.saving.now(kernel)

    async def hibernate(self, *, at_any_rate: bool = False) -> bool:
        """Saves everything and lets the kernel go; the next cell brings it back. False where a cell is in the way, or
        it could not be saved; `at_any_rate` what is not saved is run again then."""
        kernel, saving = self.seat.kernel, self.saving
        if saving is None or kernel is None or not self._line.is_free:
            return False
        async with self._line.closed():
            is_saved = not kernel.died.done() and await saving.now(kernel, everything=True)
            if not is_saved and not at_any_rate:
                return False
            await self.seat.leave("the session hibernates")
        return True

    def _refuse_closed(self) -> None:
        if self._closed:
            raise GatewayError("not_found", "the session was closed; leave out `session_id` to start a new one")

    def refusal(self) -> str:
        """Why the kill switch lets nothing run for whoever asked last; "" where it does."""
        refuses = self._services.switch.refuses
        reasons = (refuses(role=each.role, front_end=each.front_end) for each in self.asker.authorities)
        return next(filter(None, reasons), "")

    def _check(self) -> None:
        self._refuse_closed()
        self._refuse_off()

    def _refuse_off(self) -> None:
        if reason := self.refusal():
            raise GatewayError("disabled", reason)

    async def close(self) -> None:
        self._closed = True
        if self.saving is not None:
            self.saving.disturb()
        await self.seat.leave("the session was closed")
        await self.seat.end_requests()

    async def _run(self, permit: Permit, request: ExecuteRequest, turn: Turn) -> ExecuteResult:
        services = self._services
        await services.flush()  # a journal that cannot be written is no place to run a cell beside
        cell = self._new_cell(permit, request, turn)
        source = services.keep_source(cell, request.code)
        reservation = await services.broker.reserve_time(request.timeout_seconds, self.account, cell)
        duration_ms = 0.0
        try:
            kernel = await self.seat.taken(permit.principal, self._check, turn.stop)
            self._refuse_off()
            if kernel is None or turn.stop.done():
                return ExecuteResult("interrupted", self.id, self.cells)  # it never ran, so it does not count
            self.life.cells, self.life.last_cell_id = self.cells + 1, cell.cell_id
            before = dict(self.helpers)
            cell.is_shared = self.cells > self.seat.began_at
            remember(self.helpers, permit.definitions)
            started = services.clock()
            turn.deadline = Deadline(request.timeout_seconds)
            try:
                outcome = await self.seat.run(kernel, cell, request.code, turn.deadline, turn.stop)
            except BaseException:
                await self.seat.leave("its cell was given up")  # what it did so far is nobody's
                raise
            finally:
                duration_ms = max(services.clock() - started, 0.0) * 1000
        finally:
            reservation.commit(Usage(milliseconds=math.ceil(turn.seconds * 1000)))
        if self.seat.halted:
            await kernel.stop(SWITCHED_OFF)
            if outcome.status not in ("ok", "error"):
                outcome = replace(outcome, status="disabled", cause=self.seat.halted)
        if kernel.died.done():
            self.helpers = before
            await self.seat.bury(kernel)
        news, self.seat.news = self.seat.news, News()
        self._remember(cell, outcome, request, kernel)
        result = result_of(cell, outcome, news, duration_ms, self.saving.committed if self.saving else None)
        ran = event_of(self.owner, cell, request.code, outcome, result, services.digest, services.clock())
        try:
            services.record(ran, self._beside(cell, source))
            await services.flush()
        except BaseException:
            await self.seat.leave("its last cell could not be written down")
            raise
        if self.saving is not None and self._settings.durability == "before-reply" and not kernel.died.done():
            await self.saving.now(kernel)
            result = replace(result, committed=self.saving.committed)
        return result

    def _remember(self, cell: Cell, outcome: Outcome, request: ExecuteRequest, kernel: Kernel) -> None:
        life, account = self.life, self.account
        self._last = Ran(cell.number, cell.cell_id, outcome.status, request.timeout_seconds)
        if not kernel.died.done():
            life.pending.append(self._last)
        life.calls, life.writes, life.used = account.calls, account.writes, account.tally.used

    def _beside(self, cell: Cell, source: Write | None) -> Write | None:
        """What is committed together with the cell's event, before its answer goes out: its text, that it ran, and what
        its calls were answered with."""
        if self.saving is None:
            return source
        writes = [source, *self.saving.acknowledged(self._last, cell.notes)]
        return lambda connection: [write(connection) for write in writes if write is not None]

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
            parent_id=self.life.last_cell_id,
        )
        if request.request_id:
            cell.origin = Origin.of_request(
                request.origin or request.session_id, self.life.epoch, request.code, request.request_id
            )
        return cell


def _saving(id_: str, life: Life, services: Services, is_free: Callable[[], bool]) -> Saving | None:
    if services.durable is None:
        return None
    return Saving(id_, life, services.durable, services.record, services.flush, services.clock, is_free)
