"""The inner door itself: a message in, a message out, whatever happens between."""

import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kernel_ext.wire import Kind, Message
from kernel_gateway.audit.events import EffectLeft
from kernel_gateway.audit.redact import Redactor
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker.calls import Calls
from kernel_gateway.broker.cell import Account, Cell
from kernel_gateway.broker.permission import Permission
from kernel_gateway.broker.search import Search
from kernel_gateway.broker.services import Records, Services
from kernel_gateway.broker.transfers import Transfers
from kernel_gateway.crash import crashed
from kernel_gateway.errors import GatewayError
from kernel_gateway.handles import Handles
from kernel_gateway.limits.budgets import Reservation
from kernel_gateway.limits.effects import Effects
from kernel_gateway.limits.meter import Meter
from kernel_gateway.limits.settings import LimitSettings
from kernel_gateway.limits.usage import Usage
from kernel_gateway.policy.request import Authorizer, Decision
from kernel_gateway.policy.usable import Usable
from kernel_gateway.upstreams.base import Upstream

_EVENT_ID_BYTES = 8


class Broker:
    """One for all sessions; what belongs to one comes in as its Account and its running Cell.

    Without `effects` there is nowhere to write a mutation down, so every one is refused.
    """

    def __init__(
        self,
        usable: Usable,
        authorizer: Authorizer,
        upstreams: Mapping[str, Upstream],
        handles: Handles,
        journal: Records,
        redactor: Redactor,
        settings: LimitSettings,
        meter: Meter,
        secret: bytes,
        clock: Callable[[], float],
        random_token: Callable[[int], str] = secrets.token_hex,
        effects: Effects | None = None,
    ) -> None:
        services = Services(
            usable,
            authorizer,
            upstreams,
            handles,
            journal,
            redactor,
            settings,
            meter,
            secret,
            clock,
            random_token,
            effects,
        )
        self._services, self._settings = services, settings
        self._permission = Permission(services)
        self._calls, self._transfers, self._search = Calls(services), Transfers(services), Search(services)

    def __repr__(self) -> str:
        return f"<Broker {len(self._services.catalog)} operations, {self._services.handles!r}>"

    async def answer(self, message: Message, account: Account, cell: Cell | None) -> Message:
        """RESULT or ERROR with the id of a CALL, SEARCH, READ or WRITE. Never raises; a traceback stays on the host."""
        try:
            value, body = await self._answer(message, account, cell)
            return Message(Kind.RESULT, message.id, {"value": value}, body)
        except GatewayError as error:
            head: dict[str, Any] = {"code": error.code, "message": error.message}
            if error.retry_after is not None:
                head["retry_after"] = error.retry_after
        except Exception as error:
            failure = crashed(error, "the inner door", lambda: self._services.random_token(_EVENT_ID_BYTES))
            head = {"code": failure.code, "message": failure.message}
        return Message(Kind.ERROR, message.id, head)

    def foresee(self, operation_id: str, principal: Principal, account: Account) -> Decision:
        """May `principal` call it at all? As the inner door would say now if everybody had agreed to the call."""
        operation = self._services.catalog.get(operation_id)
        assert operation is not None
        return self._permission.foresee(operation, principal, account)

    async def recover(self, alive: Collection[str] = ()) -> None:
        """Before the first cell: what an earlier life left open goes into the journal. `alive` are the sessions that
        outlived it; the stored answers of all others are shredded."""
        for effect in await self._services.effects.recover(alive) if self._services.effects else ():
            self._services.journal.record(
                EffectLeft(
                    organisation=effect.organisation,
                    session_id=effect.session_id,
                    cell_id=effect.cell_id,
                    operation=effect.operation,
                    keyed=effect.keyed,
                )
            )

    async def reserve_time(self, seconds: float, account: Account, cell: Cell) -> Reservation:
        """For a cell that may run this long. Raises GatewayError limited | disabled."""
        return await self._services.reserve(Usage(milliseconds=round(seconds * 1000)), account, cell)

    def forget_session(self, session_id: str) -> None:
        """Its handles end with it."""
        self._services.handles.forget_session(session_id)

    def share_handles(self, session_id: str, with_: str) -> None:
        """A fork may read what its parent could; each use is decided again, for whoever uses it."""
        self._services.handles.share(session_id, with_)

    async def shred_session(self, session_id: str) -> None:
        """Its stored answers end with it, once none of its calls is under way."""
        if self._services.effects is not None:
            await self._services.effects.forget_session(session_id)

    async def _answer(self, message: Message, account: Account, cell: Cell | None) -> tuple[Any, bytes]:
        """What a cell depends on is noted for when it is run again; then nothing is called, and that is its answer."""
        noted = _noted(message)
        if cell is None or noted is None:
            return await self._admitted(message, account, cell)
        if cell.recorded is not None:
            return cell.recorded.answer(*noted), b""
        place = cell.notes.begin(*noted)
        try:
            value, body = await self._admitted(message, account, cell)
        except GatewayError as error:
            cell.notes.error(place, error)
            raise
        cell.notes.value(place, value)
        return value, body

    async def _admitted(self, message: Message, account: Account, cell: Cell | None) -> tuple[Any, bytes]:
        with account.flight.message(self._settings.max_concurrent_calls):
            self._admit(message, account, cell)
            assert cell is not None
            return await self._serve(message, account, cell)

    def _admit(self, message: Message, account: Account, cell: Cell | None) -> None:
        """The kernel's turn, and an end to loops that ignore their errors: past the cap nothing is written down."""
        if cell is None:
            account.strays += 1
            if message.kind is Kind.CALL and account.strays <= self._settings.max_calls_per_session:
                self._calls.stray(message.head, account)
            raise GatewayError("denied", "no cell is running; make the call from a cell and wait for its result there")
        cell.requests += 1
        if cell.requests > self._settings.max_requests_per_cell:
            limit = self._settings.max_requests_per_cell
            raise GatewayError("limited", f"this cell has made {limit} requests; go on in the next cell")

    async def _serve(self, message: Message, account: Account, cell: Cell) -> tuple[Any, bytes]:
        if message.kind is Kind.CALL:
            return await self._calls.call(message.head, account, cell), b""
        if message.kind is Kind.SEARCH:
            return await self._search.search(message.head, account, cell), b""
        if message.kind is Kind.READ:
            return await self._transfers.read(message.head, account, cell)
        if message.kind is Kind.WRITE:
            return await self._transfers.write(message.head, message.body, account, cell), b""
        raise GatewayError("invalid", f"a {message.kind.name} is not a request")


def _noted(message: Message) -> tuple[str, object] | None:
    """What the answer is known by when the cell is run again; None where it is asked for afresh."""
    if message.kind is Kind.CALL:
        return str(message.head.get("operation")), message.head.get("arguments")
    return ("blob_write", message.head.get("handle")) if message.kind is Kind.WRITE else None
