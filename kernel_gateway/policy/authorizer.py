"""Decides by token lifetime, scopes and call caps. Pure, and its law: what no rule allows is denied."""

import hashlib
from dataclasses import dataclass

from kernel_gateway.policy.request import Decision, Request
from kernel_gateway.policy.risk import Risk

CALL = "call"
ACTIONS = frozenset((CALL, "blob", "search", "execute", "read", "create", "delete", "attach", "interrupt", "approve"))
_DURING_A_CELL = frozenset((CALL, "blob"))  # what running code asks for; leftovers of an earlier cell may not


@dataclass(frozen=True, slots=True)
class ScopeAuthorizer:
    """Both doors' answer. Comparisons are written so that a count or a time that is not a number denies."""

    max_calls_per_cell: int
    max_calls_per_session: int
    auto_approve_risk: Risk = Risk.CRITICAL

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()

    def decide(self, request: Request) -> Decision:
        principal, context = request.principal, request.context
        if not context.now < principal.expires_at:
            return _denied("expired", "the token has expired; send the cell again with a new one")
        if request.action not in ACTIONS:
            return _denied("default_deny", f"no rule allows `{request.action}`")
        if not request.scope:
            return _denied("default_deny", f"no scope is named that would allow `{request.action}`")
        if request.scope not in principal.scopes:
            return _denied("scope", f"the scope `{request.scope}` is missing; ask for a token that carries it")
        if request.action in _DURING_A_CELL and not context.has_turn:
            return _denied("no_turn", "no cell is running; make the call from a cell and wait for its result there")
        if request.action == CALL:
            if not context.calls_this_cell < self.max_calls_per_cell:
                return _limited(
                    "calls_per_cell", f"this cell has made its {self.max_calls_per_cell} calls; go on in the next cell"
                )
            if not context.calls_this_session < self.max_calls_per_session:
                return _limited(
                    "calls_per_session", f"this session has made its {self.max_calls_per_session} calls; open a new one"
                )
        if request.action in (CALL, "execute") and not (
            context.approved or Risk(context.risk) <= self.auto_approve_risk
        ):
            reason = f"its risk is {context.risk}, so it needs an approval"
            return Decision(
                False, "risk", "approval_required", reason, "person" if context.risk == "critical" else "user"
            )
        return Decision(True, "scope_held")


def _denied(rule: str, reason: str) -> Decision:
    return Decision(False, rule, "denied", reason)


def _limited(rule: str, reason: str) -> Decision:
    return Decision(False, rule, "limited", reason)
