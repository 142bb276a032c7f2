"""A call that needs an approval pauses the very cell it is in: variables alive, clock stopped, until the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from catalog import Operation
from kernel_gateway.approvals.pending import APPROVED, CALL
from kernel_gateway.approvals.question import of_call
from kernel_gateway.approvals.queue import EXPIRED, VOID, Queue
from kernel_gateway.approvals.settings import ApprovalSettings
from kernel_gateway.approvals.token import canonical
from kernel_gateway.errors import GatewayError
from kernel_gateway.policy.risk import risk_of
from kernel_gateway.sessions.permit import Permit
from kernel_gateway.sessions.turns import Turn

_UNANSWERED = "nobody answered in time whether `{}` may be called; nothing was sent"
_NO_TIME = "the cell has paused {:g} s in all, so nobody is asked about `{}`; send this call in a cell of its own"
_VOID = "the question about `{}` has ended without an answer, with its session or by the kill switch; nothing was sent"
_DENIED = "the call of `{}` was denied; nothing was sent, so do without it or ask the person why"


@dataclass(frozen=True, slots=True)
class Pausing:
    """`digest(organisation, content)` names the arguments in the terms, so that an answer is for these alone."""

    queue: Queue
    settings: ApprovalSettings
    redact: Callable[[str], str]
    digest: Callable[[str, bytes], str]

    async def ask(
        self, turn: Turn, permit: Permit, operation: Operation, arguments: Mapping[str, Any], approver: str
    ) -> None:
        """Returns once it was approved. Raises GatewayError.

        approval_denied | approval_expired | too_large, invalid (its arguments cannot be shown) | limited.
        """
        who, risk = permit.principal, risk_of(operation)
        left = self.settings.cell_pause_seconds - turn.paused_seconds
        if left <= 0:
            raise GatewayError("approval_expired", _NO_TIME.format(self.settings.cell_pause_seconds, operation.id))
        plan = {"call": operation.id, "arguments": self.digest(who.organisation, canonical(arguments))}
        pending = await self.queue.ask(
            CALL,
            approver,
            who,
            replace(permit.terms, plan=plan),
            lambda until: of_call(operation, arguments, risk, until, self.settings.max_shown_chars, self.redact),
            risk=risk,
            operations=(operation.id,),
            seconds=min(self.settings.pause_seconds, left),
        )
        turn.pause(pending)
        try:
            verdict = await self.queue.wait(pending)
        finally:
            turn.resume(pending)
        if verdict == EXPIRED:
            raise GatewayError("approval_expired", _UNANSWERED.format(operation.id))
        if verdict == VOID:
            raise GatewayError("approval_expired", _VOID.format(operation.id))
        if verdict != APPROVED:
            raise GatewayError("approval_denied", _DENIED.format(operation.id))
