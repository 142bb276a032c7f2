"""The inner door of a cell that is run again: answered from the record, or live without doing anything twice.

Its law: nothing that changes something is sent unless the server's own record says that this very cell has done it,
with these arguments, or a person says yes to it now.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from catalog import Catalog, Operation
from kernel_ext.wire import Kind, Message
from kernel_gateway.audit.bounds import UNKNOWN_OPERATION
from kernel_gateway.audit.events import Event, OperationCalled
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Account, Broker, CallRecord, Cell
from kernel_gateway.broker.mutations import split_key
from kernel_gateway.broker.recorded import Recorded
from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.budgets import Reservation
from kernel_gateway.limits.idempotency import Ordinals, Origin, argument_digest, derived_key, upstream_key
from kernel_gateway.sessions.pausing import Pausing
from kernel_gateway.sessions.permit import Permit
from kernel_gateway.sessions.turns import Turn
from notebooks.records import Records
from notebooks.report import NOT_RECORDED

_NOT_RECORDED = "what `{}` answered is not recorded; replay with --live to ask again"


@dataclass(slots=True)
class Original:
    """The cell that is run again, as the gateway knows it. `noted` are answers to whatever it called; of identical
    calls each is the next of its kind."""

    session_id: str
    cell_id: str
    origin: Origin
    noted: Recorded
    ordinals: Ordinals = field(default_factory=Ordinals)


class Door(Protocol):
    """What a session's Services take for their broker."""

    original: Original | None

    async def answer(self, message: Message, account: Account, cell: Cell | None) -> Message: ...

    async def reserve_time(self, seconds: float, account: Account, cell: Cell) -> Reservation: ...


class _Door:
    def __init__(self, broker: Broker, records: Records, secret: bytes) -> None:
        self.original: Original | None = None
        self._broker, self._records, self._secret = broker, records, secret

    async def reserve_time(self, seconds: float, account: Account, cell: Cell) -> Reservation:
        return await self._broker.reserve_time(seconds, account, cell)

    def _next(self, original: Original, operation: Operation, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
        """What the record knows this call by."""
        digest = argument_digest(self._secret, operation.id, split_key(operation, arguments)[1])
        ordinal = original.ordinals.take(operation.id, digest)
        return original.session_id, original.cell_id, operation.id, digest, ordinal


class RecordedDoor(_Door):
    """Sends nothing. Only the catalog is searched as ever."""

    def __init__(
        self,
        broker: Broker,
        records: Records,
        secret: bytes,
        catalog: Catalog,
        record: Callable[[Event], None],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(broker, records, secret)
        self._catalog, self._record, self._clock = catalog, record, clock

    async def answer(self, message: Message, account: Account, cell: Cell | None) -> Message:
        if cell is None or message.kind is Kind.SEARCH:
            return await self._broker.answer(message, account, cell)
        if message.kind is not Kind.CALL:
            return _refusal(message, _NOT_RECORDED.format("a blob's bytes"))
        place, started = cell.reserve(), self._clock()
        asked, arguments = str(message.head.get("operation")), message.head.get("arguments")
        operation = self._catalog.get(asked)
        name, status = operation.id if operation else UNKNOWN_OPERATION, "ok"
        try:
            value = await self._held(asked, operation, arguments)
            return Message(Kind.RESULT, message.id, {"value": value})
        except GatewayError as error:
            status = error.code
            return _refusal(message, error.message, status)
        finally:
            duration_ms = max(self._clock() - started, 0.0) * 1000
            is_held = status != NOT_RECORDED
            cell.settle(place, CallRecord(name, status, duration_ms, is_held))
            self._record(
                OperationCalled(
                    organisation=account.organisation,
                    subject=cell.principal.subject,
                    client=cell.principal.client,
                    session_id=account.session_id,
                    cell=cell.number,
                    cell_id=cell.cell_id,
                    operation=name,
                    effect=operation.effect if operation else "",
                    decision="allow" if is_held else "deny",
                    rule="replay_recorded",
                    status=status,
                    duration_ms=duration_ms,
                    replayed=is_held,
                )
            )

    async def _held(self, asked: str, operation: Operation | None, arguments: object) -> Any:
        """What the call was answered with then. Raises the GatewayError that it was, or not_available."""
        refusal = GatewayError(NOT_RECORDED, _NOT_RECORDED.format(operation.id if operation else "it"))
        if self.original is None:
            raise refusal
        try:
            return self.original.noted.answer(asked, arguments)
        except GatewayError as error:
            if error.code != NOT_RECORDED:
                raise
        if operation is None or not isinstance(arguments, dict):
            raise refusal
        held = await self._records.answer(*self._next(self.original, operation, arguments))
        if held is None:
            raise refusal
        return json.loads(held)


class LiveDoor(_Door):
    """Asks upstreams again. Every change is put to `ask`, whatever was agreed to beforehand."""

    def __init__(self, broker: Broker, records: Records, secret: bytes, pausing: Pausing | None) -> None:
        super().__init__(broker, records, secret)
        self._pausing = pausing

    async def answer(self, message: Message, account: Account, cell: Cell | None) -> Message:
        if cell is not None:
            cell.asks_every_change = True
            if self.original is not None:
                cell.origin = self.original.origin  # its keys are those it had
        return await self._broker.answer(message, account, cell)

    async def ask(
        self, turn: Turn, permit: Permit, operation: Operation, arguments: Mapping[str, Any], approver: str
    ) -> None:
        """As Pausing.ask; what is on record was agreed to then, and is not done a second time."""
        if self.original is not None and await self._was_done(self.original, permit.principal, operation, arguments):
            return
        if self._pausing is None:
            message = f"`{operation.id}` was not called by this cell before, and nobody can be asked"
            raise GatewayError("approval_required", message)
        await self._pausing.ask(turn, permit, operation, arguments, approver)

    async def _was_done(
        self, original: Original, principal: Principal, operation: Operation, arguments: Mapping[str, Any]
    ) -> bool:
        """Whether it would be sent with a key that the cell has spent already."""
        session_id, cell_id, name, digest, ordinal = self._next(original, operation, arguments)
        given, _ = split_key(operation, arguments)
        key = given or derived_key(self._secret, original.origin, name, digest, ordinal)
        key = upstream_key(self._secret, principal.organisation, principal.identity, name, key)
        return await self._records.was_done(session_id, cell_id, key)


def _refusal(message: Message, words: str, code: str = NOT_RECORDED) -> Message:
    return Message(Kind.ERROR, message.id, {"code": code, "message": words})
