"""Which operations may this caller use? The one answer, for search, for what a kernel is given and for its calls.

Its law: the role must show the server and a scope must cover the operation, for everyone whose authority is needed,
and the settings must not close it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from catalog import Catalog, Effect, Operation
from kernel_gateway.auth.principal import Principal
from kernel_gateway.policy.offered import closed
from kernel_gateway.policy.roles import Roles
from kernel_gateway.policy.settings import PolicySettings

MAX_VIEWS = 64  # distinct sets of scopes and servers whose search index is kept; more are rebuilt when asked for
_OPEN = PolicySettings()


class Usable:
    """`catalog` is everything that is served, `roles` what each role sees of it, `settings` gives those in force;
    `hosts` are where each server is."""

    def __init__(
        self,
        catalog: Catalog,
        roles: Roles,
        settings: Callable[[], PolicySettings] = lambda: _OPEN,
        hosts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.catalog, self.roles = catalog, roles
        self._servers = tuple(dict.fromkeys(operation.server for operation in catalog.operations))
        self._scopes = frozenset(operation.scope for operation in catalog.operations if operation.scope)
        changing = {operation.scope for operation in catalog.operations if operation.effect is not Effect.READ}
        self.reading = self._scopes - changing  # with one of these nothing can be changed
        self._settings, self._hosts = settings, hosts
        self._closed: tuple[PolicySettings | None, frozenset[str]] = (None, frozenset())
        self._views: dict[tuple[frozenset[str], frozenset[str], frozenset[str]], Catalog] = {}

    def __repr__(self) -> str:
        return f"<Usable {len(self.catalog)} operations, {len(self.roles.servers)} roles>"

    def catalog_for(self, principal: Principal) -> Catalog:
        """The operations that `principal` may use."""
        return self._view(principal, self.closed())

    def nameable_for(self, principal: Principal) -> Catalog:
        """These with what the settings close: a cell may still name it, and whoever reads the cell has to know it."""
        return self._view(principal, frozenset())

    def _view(self, principal: Principal, closed: frozenset[str]) -> Catalog:
        scopes, servers = self._scopes, self.servers_for(principal)
        for each in principal.authorities:
            scopes &= each.scopes
        key = (scopes, servers, closed)
        if (view := self._views.get(key)) is None:
            if len(self._views) >= MAX_VIEWS:
                del self._views[next(iter(self._views))]

            def allowed(operation: Operation) -> bool:
                return operation.scope in scopes and operation.server in servers and operation.id not in closed

            view = self._views[key] = self.catalog.only(allowed)
        return view

    def closed(self) -> frozenset[str]:
        """The ids of what the settings in force close to everybody."""
        settings = self._settings()
        if self._closed[0] is not settings:
            self._closed = settings, closed(settings, self.catalog, self._hosts)
        return self._closed[1]

    def servers_for(self, principal: Principal) -> frozenset[str]:
        """The servers that `principal` sees, also those none of whose operations it may use."""
        return frozenset(server for server in self._servers if self.shows(principal, server))

    def shows(self, principal: Principal, server: str) -> bool:
        return all(self.roles.shows(each.role, server) for each in principal.authorities)
