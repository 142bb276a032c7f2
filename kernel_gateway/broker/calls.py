"""A CALL: one operation, decided, checked, sent and answered, with one event whatever came of it."""

import asyncio
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from catalog import Effect, Operation
from catalog.operation import Idempotency
from kernel_gateway.audit.bounds import UNKNOWN_OPERATION
from kernel_gateway.audit.events import OperationCalled
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker.answers import Answers
from kernel_gateway.broker.cell import Account, CallRecord, Cell
from kernel_gateway.broker.entry import Entry
from kernel_gateway.broker.mutations import Mutations
from kernel_gateway.broker.permission import Permission
from kernel_gateway.broker.schemas import Schemas
from kernel_gateway.broker.seal import clean, without
from kernel_gateway.broker.services import Services, asker, quoted
from kernel_gateway.broker.unbroken import to_its_end
from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.budgets import Reservation
from kernel_gateway.limits.exceeded import ExceededError
from kernel_gateway.limits.rates import CALL
from kernel_gateway.limits.usage import Usage
from kernel_gateway.upstreams.base import Upstream, UpstreamAnswer, UpstreamError

_ASKED = re.compile(r"[a-z][a-z0-9_]{0,63}:[a-z][a-z0-9_]{0,63}")  # what the cell's result repeats of an unknown name


class Calls:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._schemas, self._permission = Schemas(), Permission(services)
        self._mutations = Mutations(services.effects, services.secret)
        self._answers = Answers(services, self._schemas)

    async def call(self, head: Mapping[str, Any], account: Account, cell: Cell) -> Any:
        """The sealed answer. Raises GatewayError."""
        entry, place = Entry(), cell.reserve()
        started = self._services.clock()
        try:
            value = await self._call(head, account, cell, entry)
            entry.status = "ok"
            return value
        except GatewayError as error:
            entry.status = error.code
            if isinstance(error, UpstreamError):
                entry.http_status = error.http_status or entry.http_status
            raise
        except asyncio.CancelledError:
            entry.status = "canceled"
            raise
        finally:
            duration_ms = max(self._services.clock() - started, 0.0) * 1000
            name = _asked(head.get("operation")) if entry.operation == UNKNOWN_OPERATION else entry.operation
            cell.settle(place, CallRecord(name, entry.status, duration_ms, entry.replayed))
            self._record(entry, account, cell, duration_ms)

    def stray(self, head: Mapping[str, Any], account: Account) -> None:
        """Writes down a call that came while no cell ran: refused, and by whom is not known."""
        operation = self._services.catalog.get(str(head.get("operation")))
        entry = Entry(rule="no_turn", status="denied")
        if operation is not None:
            entry.operation, entry.effect = operation.id, operation.effect
        self._record(entry, account, None, 0.0)

    async def _call(self, head: Mapping[str, Any], account: Account, cell: Cell, entry: Entry) -> Any:
        operation = self._lookup(head.get("operation"), cell.principal, entry)
        decision = self._permission.ask(operation, head.get("arguments"), account, cell, entry)
        arguments, entry.request_bytes = self._schemas.check_arguments(operation, head.get("arguments", {}))
        if decision.approver:
            decision = await self._permission.agreed(operation, arguments, decision.approver, account, cell, entry)
        upstream = self._services.upstream(operation.server)

        def read(answer: UpstreamAnswer) -> Any:
            entry.http_status, entry.answer_bytes = answer.status, answer.bytes_received
            entry.replayed = answer.replayed
            return self._answers.read(operation, upstream, arguments, answer, decision.blocked_fields, cell)

        with await self._metered(operation, account, cell, entry) as reservation:
            value = await self._once(operation, upstream, arguments, cell, entry, read)
            reservation.commit(reservation.reserved._replace(bytes=entry.request_bytes + entry.answer_bytes))
        blocked = decision.blocked_fields
        return without(value, blocked) if blocked and entry.replayed else value

    async def _once(
        self,
        operation: Operation,
        upstream: Upstream,
        arguments: dict[str, Any],
        cell: Cell,
        entry: Entry,
        read: Callable[[UpstreamAnswer], Any],
    ) -> Any:
        """A read as often as it is asked for; anything else at most once."""
        if operation.effect is Effect.READ and operation.idempotency is Idempotency.NONE:
            return read(await self._send(operation, upstream, arguments, cell))

        async def send(arguments: Mapping[str, Any], key: str | None, is_repeat: bool) -> UpstreamAnswer:
            return await self._send(operation, upstream, arguments, cell, key, is_repeat=is_repeat)

        value, entry.replayed = await to_its_end(self._mutations.once(operation, arguments, cell, send, read))
        return value

    def _lookup(self, name: object, principal: Principal, entry: Entry) -> Operation:
        """An operation of a server that the caller's role does not show is none, except to the journal."""
        operation = self._services.catalog.get(name) if isinstance(name, str) else None
        if operation is not None:
            entry.operation, entry.effect, entry.rule = operation.id, operation.effect, "role"
            if self._services.usable.shows(principal, operation.server):
                return operation
        near = self._services.visible(principal).nearest(name) if isinstance(name, str) else []
        hint = f"did you mean {' or '.join(f'`{each}`' for each in near)}?" if near else "search_tools() finds names"
        raise GatewayError("not_found", f"{quoted(name)} is not an operation; {hint}")

    async def _metered(self, operation: Operation, account: Account, cell: Cell, entry: Entry) -> Reservation:
        """Its rate, then room for it and for the longest answer: the last thing before it is sent."""
        try:
            await self._services.meter.admit(CALL, cell.principal, operation.id)
            return await self._services.reserve(
                Usage(
                    calls=1,
                    writes=int(operation.effect is not Effect.READ),
                    bytes=entry.request_bytes + self._services.settings.max_answer_bytes,
                ),
                account,
                cell,
            )
        except GatewayError as error:
            entry.decision, entry.rule = "deny", error.policy if isinstance(error, ExceededError) else "limits"
            raise

    async def _send(
        self,
        operation: Operation,
        upstream: Upstream,
        arguments: Mapping[str, Any],
        cell: Cell,
        key: str | None = None,
        *,
        is_repeat: bool = False,
    ) -> UpstreamAnswer:
        """A broken connection is tried once more, within the same deadline, where that cannot do the thing twice.

        The error is about all attempts. `is_repeat`: an earlier call may have been sent with this `key`.
        """
        time = asyncio.get_running_loop().time
        deadline = time() + self._services.settings.call_timeout_seconds
        may_repeat = operation.effect is Effect.READ or key is not None
        attempted = is_repeat
        while True:
            try:
                return await upstream.call(
                    operation,
                    arguments,
                    idempotency_key=key,
                    asker=asker(cell),
                    deadline_seconds=max(deadline - time(), 0.001),
                )
            except UpstreamError as error:
                broken = error.code == "upstream_unavailable" and not error.http_status
                if broken and may_repeat:
                    attempted, may_repeat = attempted or error.sent, False
                    continue
                if attempted and key is not None and error.http_status == HTTPStatus.CONFLICT:
                    message = f"`{operation.server}` is still at work on the first attempt; try again later"
                    raise UpstreamError("upstream_unavailable", message, retry_after=error.retry_after) from error
                raise UpstreamError(
                    error.code,
                    clean(error.message, upstream.storage),
                    retry_after=error.retry_after,
                    http_status=error.http_status,
                    sent=error.sent,
                    attempted=attempted,
                ) from error

    def _record(self, entry: Entry, account: Account, cell: Cell | None, duration_ms: float) -> None:
        self._services.journal.record(
            OperationCalled(
                at=self._services.clock(),
                organisation=account.organisation,
                subject=cell.principal.subject if cell else "",
                client=cell.principal.client if cell else "",
                session_id=account.session_id,
                cell=cell.number if cell else 0,
                cell_id=cell.cell_id if cell else "",
                operation=entry.operation,
                effect=entry.effect,
                decision=entry.decision,
                rule=entry.rule,
                approver=entry.approver,
                status=entry.status,
                http_status=entry.http_status,
                duration_ms=duration_ms,
                request_bytes=entry.request_bytes,
                answer_bytes=entry.answer_bytes,
                replayed=entry.replayed,
            )
        )


def _asked(name: object) -> str:
    """For the cell's own result. The journal keeps no name of the cell's choosing."""
    return name if isinstance(name, str) and _ASKED.fullmatch(name) else ""
