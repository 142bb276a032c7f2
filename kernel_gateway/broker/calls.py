"""A CALL: one operation, decided, checked, sent and answered, with one event whatever came of it."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

from catalog import Effect, Operation
from catalog.operation import Idempotency
from kernel_gateway.audit.bounds import UNKNOWN_OPERATION
from kernel_gateway.audit.events import OperationCalled
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker.cell import Account, CallRecord, Cell
from kernel_gateway.broker.entry import Entry
from kernel_gateway.broker.marks import Mark, marks
from kernel_gateway.broker.permission import Permission, key_name
from kernel_gateway.broker.schemas import Schemas
from kernel_gateway.broker.seal import Link, clean, seal
from kernel_gateway.broker.services import Services, asker, quoted
from kernel_gateway.errors import GatewayError
from kernel_gateway.handles import BlobHandle
from kernel_gateway.limits.idempotency import upstream_key
from kernel_gateway.upstreams.base import Upstream, UpstreamAnswer, UpstreamError

_KEY_BYTES = 16
_MAX_VALUE_BYTES = 1024 * 1024 - 1024  # in a RESULT's head, once sealed; a kernel takes far more from its gateway
_SURELY_SMALL_BYTES = 64 * 1024  # a received answer up to here cannot outgrow a head by being written again
_HANDLE_BYTES = 400  # at most, of a handle in an answer
_ASKED = re.compile(r"[a-z][a-z0-9_]{0,63}:[a-z][a-z0-9_]{0,63}")  # what the cell's result repeats of an unknown name


class Calls:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._schemas, self._permission = Schemas(), Permission(services)
        self._marks: dict[tuple[str, str], Mark] = {}

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
        operation = self._lookup(head.get("operation"), cell.principal)
        entry.operation, entry.effect = operation.id, operation.effect
        decision = self._permission.ask(operation, head.get("arguments"), account, cell, entry)
        arguments, entry.request_bytes = self._schemas.check_arguments(operation, head.get("arguments", {}))
        if decision.approver:
            decision = await self._permission.agreed(operation, arguments, decision.approver, account, cell, entry)
        arguments, key = self._split_key(operation, arguments, cell.principal)
        upstream = self._services.upstream(operation.server)
        answer = await self._send(operation, upstream, arguments, key, cell)
        entry.http_status, entry.answer_bytes, entry.replayed = answer.status, answer.bytes_received, answer.replayed
        if answer.bytes_received > self._services.settings.max_answer_bytes:
            limit = self._services.settings.max_answer_bytes
            raise UpstreamError("upstream_invalid", f"`{operation.server}` answered with more than {limit} bytes")
        self._schemas.check_answer(operation, answer.body)
        return self._sealed(operation, upstream, arguments, answer, decision.blocked_fields, cell)

    def _lookup(self, name: object, principal: Principal) -> Operation:
        operation = self._services.catalog.get(name) if isinstance(name, str) else None
        if operation is not None:
            return operation
        near = self._services.visible(principal).nearest(name) if isinstance(name, str) else []
        hint = f"did you mean {' or '.join(f'`{each}`' for each in near)}?" if near else "search_tools() finds names"
        raise GatewayError("not_found", f"{quoted(name)} is not an operation; {hint}")

    def _split_key(
        self, operation: Operation, arguments: dict[str, Any], principal: Principal
    ) -> tuple[dict[str, Any], str | None]:
        """The arguments without the caller's idempotency key, and the key to send.

        Where the caller gave none it is new for every call: only our own retry of this very call is the same.
        """
        if operation.idempotency is Idempotency.NONE:
            return arguments, None
        name = key_name(operation)
        given = arguments.get(name)
        rest = {each: value for each, value in arguments.items() if each != name}
        if not isinstance(given, str):
            given = self._services.random_token(_KEY_BYTES)
        secret = self._services.secret
        return rest, upstream_key(secret, principal.organisation, principal.identity, operation.id, given)

    async def _send(
        self, operation: Operation, upstream: Upstream, arguments: Mapping[str, Any], key: str | None, cell: Cell
    ) -> UpstreamAnswer:
        """A broken connection is tried once more, within the same deadline, where that cannot do the thing twice."""
        time = asyncio.get_running_loop().time
        deadline = time() + self._services.settings.call_timeout_seconds
        may_repeat = operation.effect is Effect.READ or key is not None
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
                    may_repeat = False
                    continue
                raise UpstreamError(
                    error.code,
                    clean(error.message, upstream.storage),
                    retry_after=error.retry_after,
                    http_status=error.http_status,
                    sent=error.sent,
                ) from error

    def _sealed(
        self,
        operation: Operation,
        upstream: Upstream,
        arguments: Mapping[str, Any],
        answer: UpstreamAnswer,
        blocked_fields: frozenset[str],
        cell: Cell,
    ) -> Any:
        def mint(link: Link) -> BlobHandle:
            self._services.redactor.register(link.url)
            return self._services.handles.mint(
                link.url,
                server=operation.server,
                organisation=cell.principal.organisation,
                session_id=cell.session_id,
                direction=link.direction,
                size=link.size,
                content_type=link.content_type,
                expires_at=link.expires_at,
                headers=link.headers,
                scope=operation.scope,
            )

        key = (operation.id, operation.digest)
        if (mark := self._marks.get(key)) is None:
            mark = self._marks[key] = marks(operation.answer)
        value, handles = seal(answer.body, mark, upstream.storage, arguments, mint, blocked_fields)
        is_small = answer.bytes_received + handles * _HANDLE_BYTES <= _SURELY_SMALL_BYTES
        if not is_small and len(_written(value)) > _MAX_VALUE_BYTES:
            message = f"the answer of `{operation.id}` is over {_MAX_VALUE_BYTES} bytes; ask for fewer results"
            raise UpstreamError("too_large", message, http_status=answer.status)
        return value

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


def _written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
