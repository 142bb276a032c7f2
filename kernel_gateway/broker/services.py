"""What the inner door is built from, and which operations a caller sees through it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from catalog import Catalog
from kernel_gateway.audit.events import Event
from kernel_gateway.audit.redact import Redactor
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker.cell import Account, Cell
from kernel_gateway.errors import GatewayError
from kernel_gateway.handles import Handles
from kernel_gateway.limits.budgets import Reservation
from kernel_gateway.limits.effects import Effects
from kernel_gateway.limits.meter import Meter
from kernel_gateway.limits.settings import LimitSettings
from kernel_gateway.limits.usage import Usage
from kernel_gateway.policy.request import Authorizer, Context, Decision, Request
from kernel_gateway.upstreams.base import Asker, Upstream, UpstreamError

_MAX_VIEWS = 64  # distinct sets of scopes whose search index is kept; more are rebuilt when asked for


class Records(Protocol):
    """The journal, as far as the inner door knows it."""

    def record(self, event: Event) -> None: ...


@dataclass(frozen=True, slots=True, repr=False)
class Services:
    catalog: Catalog
    authorizer: Authorizer
    upstreams: Mapping[str, Upstream]
    handles: Handles
    journal: Records
    redactor: Redactor
    settings: LimitSettings
    meter: Meter
    secret: bytes
    clock: Callable[[], float]
    random_token: Callable[[int], str]
    effects: Effects | None
    _views: dict[frozenset[str], Catalog] = field(default_factory=dict)

    def visible(self, principal: Principal) -> Catalog:
        """The operations that `principal` may use: those whose scope it holds."""
        key = principal.scopes & {operation.scope for operation in self.catalog.operations}
        if (view := self._views.get(key)) is None:
            if len(self._views) >= _MAX_VIEWS:
                self._views.pop(next(iter(self._views)))
            view = self._views[key] = self.catalog.only(
                lambda operation: bool(operation.scope) and operation.scope in key
            )
        return view

    def decide(
        self,
        action: str,
        resource: str,
        scope: str,
        account: Account,
        cell: Cell,
        *,
        approved: bool,
        risk: str = "low",
        has_idempotency_key: bool = False,
        argument_bytes: int = 0,
        host: str = "",
    ) -> Decision:
        """With the time of now: a token that ran out in the middle of a cell allows nothing any more."""
        context = Context(
            now=self.clock(),
            has_turn=True,
            calls_this_cell=cell.calls,
            calls_this_session=account.calls,
            writes_this_cell=cell.writes,
            writes_this_session=account.writes,
            risk=risk,
            approved=approved,
            kill_switch=False,
            has_idempotency_key=has_idempotency_key,
            argument_bytes=argument_bytes,
            host=host,
        )
        return self.authorizer.decide(Request(cell.principal, action, resource, scope, context))

    async def reserve(self, wanted: Usage, account: Account, cell: Cell) -> Reservation:
        """Raises GatewayError limited | disabled."""
        return await self.meter.reserve(
            wanted, cell.principal, cell=cell.tally, session=account.tally, tree=account.tree
        )

    def upstream(self, server: str) -> Upstream:
        if (upstream := self.upstreams.get(server)) is None:
            raise UpstreamError("upstream_unavailable", f"`{server}` is not connected; tell an operator", sent=False)
        return upstream


def insist(decision: Decision) -> None:
    """Raises the GatewayError of a refusal. Only the doors do this; policy returns values."""
    if decision.allowed is not True:
        raise GatewayError(decision.code or "denied", decision.reason or "this is not allowed")


def asker(cell: Cell) -> Asker:
    principal = cell.principal
    return Asker(
        principal.issuer, principal.organisation, principal.subject, principal.client, cell.session_id, cell.number
    )


def quoted(text: object, limit: int = 80) -> str:
    """Somebody's input inside one of our lines: in backticks, printable, cut."""
    words = text if isinstance(text, str) else type(text).__name__
    shown = "".join(character if character.isprintable() and character != "`" else "?" for character in words[:limit])
    return f"`{shown}{'...' if len(words) > limit else ''}`"
