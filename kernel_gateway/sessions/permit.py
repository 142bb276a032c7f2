"""What a cell may run under: who agreed to which plan, and on what terms. Values only."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kernel_gateway.approvals.token import Claims, Terms
from kernel_gateway.auth.principal import Principal
from kernel_gateway.policy.plan import Plan
from kernel_gateway.sessions.result import ExecuteResult


@dataclass(frozen=True, slots=True)
class Permit:
    """`approver` is auto, user or person; `definitions` are the helpers that the cell leaves for later ones.

    `claims` are of the approval that it uses up, where there is one.
    """

    principal: Principal
    plan: Plan
    approver: str
    terms: Terms
    definitions: Mapping[str, Any]
    claims: Claims | None = None


Redeem = Callable[[], Awaitable[Permit | ExecuteResult]]
"""Asked in the session's turn, right before the cell would run: the permit, or why it does not run after all."""
