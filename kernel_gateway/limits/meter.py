"""HOW MUCH, for both doors: how often somebody may come, and what one cell, session, fork tree and day may use."""

from collections.abc import Callable

from kernel_gateway.auth.principal import Principal
from kernel_gateway.limits.budgets import Budget, Reservation, Share, reserve
from kernel_gateway.limits.quotas import Quotas
from kernel_gateway.limits.rates import Rates
from kernel_gateway.limits.settings import LimitSettings
from kernel_gateway.limits.usage import Tally, Usage
from kernel_gateway.store.database import Database


class Meter:
    """Without `quotas` nothing is counted by the day: for a place that has no callers, only tests of itself."""

    def __init__(self, settings: LimitSettings, rates: Rates, quotas: Quotas | None) -> None:
        self._rates, self._quotas = rates, quotas
        budgets = settings.budgets
        self._cell, self._session, self._tree = budgets.execution.most(), budgets.session.most(), budgets.tree.most()
        self.admit = rates.admit

    def __repr__(self) -> str:
        return f"<Meter {self._rates!r}, {self._quotas!r}>"

    async def reserve(
        self, wanted: Usage, principal: Principal, *, cell: Tally, session: Tally, tree: Tally
    ) -> Reservation:
        """Of everybody concerned or of nobody. Raises ExceededError and GatewayError("disabled")."""
        shares: list[Share] = [
            Budget(cell, self._cell, "cell", "go on in the next cell"),
            Budget(session, self._session, "session", "go on in a new session"),
            Budget(tree, self._tree, "fork tree", "go on in a session that is no fork"),
        ]
        if self._quotas is not None:
            shares += self._quotas.of(principal)
        return await reserve(shares, wanted)

    async def close(self) -> None:
        """Gives back what was taken of the quotas and not used."""
        try:
            if self._quotas is not None:
                await self._quotas.close()
        finally:
            await self._rates.close()


def meter(
    settings: LimitSettings,
    database: Database,
    clock: Callable[[], float],
    per_minute: Callable[[str], int | None] = lambda kind: None,
) -> Meter:
    """`per_minute` as `Rates` has it. Raises ConfigError."""
    store, patience = settings.store.get_secret_value(), settings.store_timeout_seconds
    rates = Rates(settings.rates, store, clock, store_timeout_seconds=patience, per_minute=per_minute)
    quotas = settings.quotas
    principal, organisation = quotas.principal.most(), quotas.organisation.most()
    return Meter(settings, rates, Quotas(database, clock, principal=principal, organisation=organisation))
