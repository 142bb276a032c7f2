"""Which operations may this caller use? The one answer, for search, for what a kernel is given and for its calls.

Its law: the role must show the server and a scope must cover the operation, for everyone whose authority is needed.
"""

from catalog import Catalog, Effect, Operation
from kernel_gateway.auth.principal import Principal
from kernel_gateway.policy.roles import Roles

MAX_VIEWS = 64  # distinct sets of scopes and servers whose search index is kept; more are rebuilt when asked for


class Usable:
    """`catalog` is everything that is served, `roles` what each role sees of it."""

    def __init__(self, catalog: Catalog, roles: Roles) -> None:
        self.catalog, self.roles = catalog, roles
        self._servers = tuple(dict.fromkeys(operation.server for operation in catalog.operations))
        self._scopes = frozenset(operation.scope for operation in catalog.operations if operation.scope)
        changing = {operation.scope for operation in catalog.operations if operation.effect is not Effect.READ}
        self.reading = self._scopes - changing  # with one of these nothing can be changed
        self._views: dict[tuple[frozenset[str], frozenset[str]], Catalog] = {}

    def __repr__(self) -> str:
        return f"<Usable {len(self.catalog)} operations, {len(self.roles.servers)} roles>"

    def catalog_for(self, principal: Principal) -> Catalog:
        """The operations that `principal` may use."""
        scopes, servers = self._scopes, self.servers_for(principal)
        for each in principal.authorities:
            scopes &= each.scopes
        key = (scopes, servers)
        if (view := self._views.get(key)) is None:
            if len(self._views) >= MAX_VIEWS:
                del self._views[next(iter(self._views))]

            def allowed(operation: Operation) -> bool:
                return operation.scope in scopes and operation.server in servers

            view = self._views[key] = self.catalog.only(allowed)
        return view

    def servers_for(self, principal: Principal) -> frozenset[str]:
        """The servers that `principal` sees, also those none of whose operations it may use."""
        return frozenset(server for server in self._servers if self.shows(principal, server))

    def shows(self, principal: Principal, server: str) -> bool:
        return all(self.roles.shows(each.role, server) for each in principal.authorities)
