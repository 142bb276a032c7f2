"""May this call be made: the policy, the cell's plan, and whoever has to agree to its actual arguments."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from catalog import Effect, Operation
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker.cell import Account, Cell
from kernel_gateway.broker.entry import Entry
from kernel_gateway.broker.mutations import split_key
from kernel_gateway.broker.schemas import size_of
from kernel_gateway.broker.services import Services, insist
from kernel_gateway.errors import GatewayError
from kernel_gateway.policy.request import Decision
from kernel_gateway.policy.risk import risk_of


class Permission:
    def __init__(self, services: Services) -> None:
        self._services = services

    def ask(self, operation: Operation, arguments: object, account: Account, cell: Cell, entry: Entry) -> Decision:
        """Decides on the counts before this call, and counts it in the same step: nothing can come between.

        With an `approver` it is allowed once that one has agreed to its actual arguments.
        """
        decision = self._decide(operation, arguments, account, cell, entry, cell.agreed_by(operation))
        if decision.code != "approval_required":
            insist(decision)
            if cell.asks_each(operation):
                decision = replace(decision, approver="person" if cell.asks_every_change else cell.approver)
        try:
            cell.take(operation)
        except GatewayError:
            entry.rule = "plan"
            raise
        _count(operation, account, cell, 1)
        entry.decision, entry.approver = ("deny", "") if decision.approver else ("allow", cell.approver)
        return decision

    def foresee(self, operation: Operation, principal: Principal, account: Account) -> Decision:
        """What would be said to a first call of a cell, with everything given that it can be given, and agreed to."""
        upstream = self._services.upstreams.get(operation.server)
        return self._services.decide(
            "call",
            operation.id,
            operation.scope,
            account,
            Cell(principal, account.session_id, 0, ""),
            approved=True,
            risk=risk_of(operation),
            has_idempotency_key=True,
            host=upstream.host if upstream else "",
        )

    async def agreed(
        self,
        operation: Operation,
        arguments: Mapping[str, Any],
        approver: str,
        account: Account,
        cell: Cell,
        entry: Entry,
    ) -> Decision:
        """Waits for the answer, and decides once more: a token, a scope or the policy may be another by then."""
        if cell.ask is None:
            raise GatewayError("approval_required", f"`{operation.id}` needs an approval, and nobody can be asked here")
        try:
            await cell.ask(operation, arguments, approver)
        except asyncio.CancelledError:
            cell.unanswered.append(operation.id)
            raise
        _count(operation, account, cell, -1)  # this call is not one of those before it
        decision = self._decide(operation, arguments, account, cell, entry, approver)
        _count(operation, account, cell, 1)
        insist(decision)
        entry.decision, entry.approver = "allow", approver
        return decision

    def _decide(
        self, operation: Operation, arguments: object, account: Account, cell: Cell, entry: Entry, agreed_by: str
    ) -> Decision:
        """`agreed_by` is who said yes to this call: that counts where the policy asks for nobody stricter."""
        given = arguments if isinstance(arguments, dict) else {}
        upstream = self._services.upstreams.get(operation.server)
        ask = partial(
            self._services.decide,
            "call",
            operation.id,
            operation.scope,
            account,
            cell,
            risk=risk_of(operation),
            has_idempotency_key=split_key(operation, given)[0] is not None,
            argument_bytes=size_of(given),
            host=upstream.host if upstream else "",
        )
        decision = ask(approved=False)
        if decision.code == "approval_required":
            asked = decision.approver or "person"
            is_enough = agreed_by in ("person", asked)
            decision = ask(approved=True) if is_enough else replace(decision, approver=asked)
        entry.rule = decision.rule
        return decision


def _count(operation: Operation, account: Account, cell: Cell, calls: int) -> None:
    """Adds `calls` of `operation` to what was called, and to what was changed where it is a change."""
    writes = calls if operation.effect is not Effect.READ else 0
    cell.calls += calls
    cell.writes += writes
    account.calls += calls
    account.writes += writes
