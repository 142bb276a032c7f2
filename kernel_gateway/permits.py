"""Whether a cell may run, and under which plan: read it, let the policy decide, find who agreed. Runs nothing."""

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from kernel_gateway.approvals.pending import APPROVED, CALL, CELL, DENIED, Pending
from kernel_gateway.approvals.question import of_cell
from kernel_gateway.approvals.queue import Queue
from kernel_gateway.approvals.settings import ApprovalSettings
from kernel_gateway.approvals.token import Claims, Terms, difference, mint, read, refusal, verify
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Account
from kernel_gateway.broker.unbroken import to_its_end
from kernel_gateway.errors import GatewayError
from kernel_gateway.policy.request import Authorizer, Context, Decision, Request
from kernel_gateway.policy.review import Review, escaped, is_small, remember, review
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.policy.usable import Usable
from kernel_gateway.sessions.permit import Permit
from kernel_gateway.sessions.result import Approval, ExecuteRequest, ExecuteResult, Reviewed
from kernel_gateway.sessions.session import Session

Foresee = Callable[[str, Principal, Account], Decision]
"""What the inner door would say to a call of this operation that everybody has agreed to, with the counts of now."""
READINGS = 2  # of a long cell: what one cell of the session changed meanwhile is read again, no more than that
AUTO, USER, PERSON = "auto", "user", "person"


def at_the_door(now: float, account: Account | None) -> Context:
    """What is true of a request from outside, which is no risk before its cell was read; `account` of its session."""
    outside = Context.outside(now)
    if account is None:
        return outside
    return replace(outside, calls_this_session=account.calls, writes_this_session=account.writes)


async def _on_a_thread(read: Callable[[], Review]) -> Review:
    """Also one that nobody waits for any more is over when this returns: there is never a second thread."""
    thread = asyncio.ensure_future(asyncio.to_thread(read))
    try:
        return await asyncio.shield(thread)
    finally:
        await to_its_end(asyncio.wait({thread}))


@dataclass(frozen=True, slots=True)
class Permits:
    """`policy` gives the settings in force, `key` signs tokens, `max_calls` is what an unbounded loop counts as."""

    usable: Usable
    authorizer: Authorizer
    queue: Queue
    policy: Callable[[], PolicySettings]
    settings: ApprovalSettings
    max_calls: int
    key: bytes
    clock: Callable[[], float]
    new_id: Callable[[str], str]
    foresee: Foresee
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _readers: MutableMapping[tuple[str, ...], asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def read(
        self, principal: Principal, request: ExecuteRequest, session: Session | None
    ) -> Review | ExecuteResult:
        """The review, or the refusal of a cell that may not run whoever agrees to it."""
        found = await self._reviewed(principal, request, session)
        refused = next((each for each in found.violations if each.refused), None)
        if refused is None:
            return found
        return ExecuteResult(
            "denied",
            session.id if session else "",
            session.cells if session else 0,
            code="denied",
            message=f"line {refused.line}: {refused.message}",
            rule=refused.rule,
            reviewed=Reviewed(found, (refused.message,)),
        )

    async def _reviewed(self, principal: Principal, request: ExecuteRequest, session: Session | None) -> Review:
        """Of session and policy as they still are when this returns. A long one is read on a thread, one at a time; a
        caller has one of them in the queue. Raises GatewayError busy where the session changed while it was read."""
        if session is not None and not session.is_known:
            await self._learn(principal, session)
        helpers = session.helpers if session else {}

        def reading() -> Callable[[], Review]:
            usable, denied = self.usable.nameable_for(principal), self.policy().denied_modules
            return partial(review, request.code, usable, dict(helpers), denied, self.max_calls)

        def state() -> tuple[str, str]:
            return session.version if session else "", self.authorizer.digest

        if is_small(request.code, helpers):
            return reading()()
        mine = self._readers.setdefault(principal.identity, asyncio.Lock())
        async with mine:
            for _ in range(READINGS):
                async with self._reading:
                    before = state()
                    found = await _on_a_thread(reading())
                if state() == before:
                    return found
        raise GatewayError("busy", "other cells of the session ran while this long one was read; send it by itself")

    async def _learn(self, principal: Principal, session: Session) -> None:
        """What its earlier cells defined, where another gateway ran them."""
        texts, known = await session.texts(), dict[str, Any]()
        usable, denied = self.usable.nameable_for(principal), self.policy().denied_modules

        def read() -> None:
            for text in texts:
                remember(known, review(text, usable, dict(known), denied, self.max_calls).definitions)

        await asyncio.to_thread(read)
        if not session.is_known:
            session.helpers, session.is_known = known, True

    async def admit(
        self, principal: Principal, request: ExecuteRequest, session: Session, found: Review
    ) -> Permit | ExecuteResult:
        """The permit to run, or the answer of a cell that does not: validated only, denied, or still to be approved.

        Raises GatewayError: what the policy says, approval_* for a token or an answer that fails.
        """
        terms = self._terms(principal, request.code, session, found.plan.canonical())
        claims = await self._presented(request, terms)
        answered = await self._answered(principal, request, terms)
        decision = self._decide(principal, session, found, approved=False)
        approver, pending = AUTO, None
        would_agree = request.validate_only or decision.code == "approval_required"
        if would_agree and (refusals := self._refusals(principal, session, found)):
            return self._denied(session, found, *refusals)
        if decision.code == "approval_required":
            approver = USER if decision.approver == USER else PERSON
            if claims is not None and approver == USER and not request.can_ask:
                pending = self.queue.get(claims.id)  # its token is the answer, unless there was another
                is_agreed = pending is None or pending.verdict != DENIED
            else:
                if (pending := answered) is None or pending.approver != approver:
                    pending = await self._question(principal, request, terms, found, approver)
                claims, is_agreed = pending.claims, pending.verdict == APPROVED
            reason = decision.reason
            if is_agreed:
                decision = self._decide(principal, session, found, approved=True)
            elif pending is None or pending.verdict == DENIED:
                return self._denied(session, found, refusal("approval_denied"))
            else:
                return self._waits(request, session, Reviewed(found, (reason,)), pending)
        if decision.allowed is not True:
            raise GatewayError(decision.code or "denied", decision.reason, rule=decision.rule)
        if request.validate_only:
            how = "without an approval" if approver == AUTO else "now that it is approved"
            return self._valid(session, Reviewed(found, (f"the policy lets it run at {found.risk} risk {how}",)), terms)
        return Permit(principal, found.plan, approver, terms, found.definitions, claims)

    async def redeem(self, permit: Permit, request: ExecuteRequest, session: Session) -> Permit | ExecuteResult:
        """In the session's turn: what was agreed to must still be what is. Uses the approval up."""
        now = replace(permit.terms, state=session.version, policy=self.authorizer.digest)
        if changed := difference(permit.terms, now):
            if permit.claims is not None:
                raise refusal(changed)
            found = await self.read(permit.principal, request, session)
            if isinstance(found, ExecuteResult):
                return found
            again = await self.admit(permit.principal, request, session, found)
            if isinstance(again, ExecuteResult):
                return again
            permit = again
        if permit.claims is not None:
            await self.queue.spend(permit.claims, permit.principal, session.id)
        return permit

    async def agree_to_call(self, principal: Principal, request: ExecuteRequest, session: Session) -> str:
        """The id of the question about a paused call that this request answers; "" where it answers none.

        Raises GatewayError approval_* for a token that fails.
        """
        if request.answer is not None:
            pending = self.queue.get(request.answer.id)
            if pending is not None and pending.kind == CALL:
                await self.queue.answer(pending.id, principal, approve=request.answer.approve)
            return request.answer.id  # also of one that was answered before: its cell is joined
        pending = self.queue.get(read(request.approval_token).id)
        if pending is None or pending.kind != CALL:
            return ""
        terms = self._terms(principal, request.code, session, pending.terms.plan)
        verify(self.key, request.approval_token, terms, self.clock())
        await self.queue.answer(pending.id, principal, approve=True)
        return pending.id

    def paused(self, request: ExecuteRequest, session: Session, pending: Pending) -> ExecuteResult:
        """The answer of a cell that waits for somebody inside its run."""
        return ExecuteResult("paused", session.id, session.cells, approval=self._approval(request, pending))

    def _terms(self, principal: Principal, code: str, session: Session, plan: Mapping[str, Any]) -> Terms:
        scopes = tuple(sorted(principal.scopes))
        return Terms(
            text=code,
            session=session.id,
            principal=principal.identity,
            scopes=scopes,
            role=principal.role,
            state=session.version,
            catalog=self.usable.catalog.digest,
            policy=self.authorizer.digest,
            plan=plan,
        )

    def _decide(self, principal: Principal, session: Session, found: Review, *, approved: bool) -> Decision:
        context = replace(at_the_door(self.clock(), session.account), risk=found.risk, approved=approved)
        return self.authorizer.decide(Request(principal, "execute", session.id, "kernel.execute", context))

    def _refusals(self, principal: Principal, session: Session, found: Review) -> list[GatewayError]:
        """Of the operations that the cell names, those that would be refused whoever agreed: nobody is asked then."""
        decisions = (self.foresee(each, principal, session.account) for each in found.operations)
        refused = (each for each in decisions if each.allowed is not True)
        return [GatewayError(each.code or "denied", each.reason, rule=each.rule) for each in refused]

    async def _presented(self, request: ExecuteRequest, terms: Terms) -> Claims | None:
        if not request.approval_token:
            return None
        if await self.queue.is_spent(read(request.approval_token).id):
            raise refusal("approval_used")
        return verify(self.key, request.approval_token, terms, self.clock())

    async def _answered(self, principal: Principal, request: ExecuteRequest, terms: Terms) -> Pending | None:
        """The question that the caller's user has answered."""
        if request.answer is None:
            return None
        if await self.queue.is_spent(request.answer.id):
            raise refusal("approval_used")
        pending = self.queue.get(request.answer.id)
        if pending is not None and (changed := difference(pending.terms, terms)):
            raise refusal(changed)
        return await self.queue.answer(request.answer.id, principal, approve=request.answer.approve)

    async def _question(
        self, principal: Principal, request: ExecuteRequest, terms: Terms, found: Review, approver: str
    ) -> Pending:
        lines = len(escaped(request.code).splitlines())
        return await self.queue.ask(
            CELL,
            approver,
            principal,
            terms,
            lambda until: of_cell(found.explanation, lines, until),
            risk=found.risk,
            operations=found.operations,
            seconds=self.policy().token_ttl_seconds if approver == USER else self.settings.person_seconds,
        )

    def _valid(self, session: Session, reviewed: Reviewed, terms: Terms) -> ExecuteResult:
        now = self.clock()
        claims = Claims(self.new_id("apr"), now, now + self.policy().token_ttl_seconds)
        approval = Approval(claims.id, claims.expires_at, mint(self.key, claims, terms))
        return ExecuteResult("ok", session.id, session.cells, reviewed=reviewed, approval=approval)

    def _waits(self, request: ExecuteRequest, session: Session, reviewed: Reviewed, pending: Pending) -> ExecuteResult:
        approval = self._approval(request, pending)
        return ExecuteResult("approval_required", session.id, session.cells, reviewed=reviewed, approval=approval)

    def _denied(self, session: Session, found: Review, *errors: GatewayError) -> ExecuteResult:
        reasons = tuple(dict.fromkeys(each.message for each in errors))
        return ExecuteResult(
            "denied",
            session.id,
            session.cells,
            code=errors[0].code,
            message=errors[0].message,
            rule=errors[0].rule,
            reviewed=Reviewed(found, reasons),
        )

    def _approval(self, request: ExecuteRequest, pending: Pending) -> Approval:
        """With its token where that is of use: not for a user who is asked directly, nor for a person's one call."""
        is_for_token = not request.can_ask if pending.approver == USER else pending.kind == CELL
        token = mint(self.key, pending.claims, pending.terms) if is_for_token else ""
        return Approval(pending.id, pending.expires_at, token, pending)
