"""Questions that wait for somebody, and their answers. Whole cells survive a restart; a paused call dies with its cell.

Nothing is approved by default: what expires, is voided or cannot be stored was not approved.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from kernel_gateway.approvals.approvers import is_told, why_not
from kernel_gateway.approvals.pending import APPROVED, CALL, CELL, DENIED, WAITING, Pending
from kernel_gateway.approvals.settings import ApprovalSettings
from kernel_gateway.approvals.shelf import Shelf
from kernel_gateway.approvals.token import Claims, Terms, canonical, refusal
from kernel_gateway.audit.events import ApprovalAsked, ApprovalEnded, Event
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError

EXPIRED, VOID, USED = "expired", "void", "used"


class Queue:
    """`digest(organisation, content)` is keyed per organisation: events hold no more of what was asked."""

    def __init__(
        self,
        shelf: Shelf,
        settings: ApprovalSettings,
        record: Callable[[Event], None],
        digest: Callable[[str, bytes], str],
        clock: Callable[[], float],
        new_id: Callable[[str], str],
    ) -> None:
        self._shelf, self._settings = shelf, settings
        self._record, self._digest, self._clock, self._new_id = record, digest, clock, new_id
        self._pending: dict[str, Pending] = {}
        self._answers: dict[str, asyncio.Future[str]] = {}
        self._agents: set[tuple[str, str]] = set()
        self._interrupted: dict[str, Pending] = {}
        self._voiding: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Queue {len(self)} waiting>"

    def __len__(self) -> int:
        return sum(each.verdict == WAITING for each in self._live())

    async def start(self) -> list[Pending]:
        """The cells that still wait from before a restart. A call that was paused then is void: its cell is gone."""
        pending, self._agents = await self._shelf.load()
        for each in pending:
            self._pending[each.id] = each
            if each.kind == CALL:
                self._interrupted[each.terms.session] = each
                await self._end(each, VOID)
        return [each for each in self._live() if each.kind == CELL]

    def was_interrupted(self, session_id: str, principal: Principal) -> bool:
        """Whether a restart ended this caller's session while one of its calls waited."""
        pending = self._interrupted.get(session_id)
        return pending is not None and pending.asker.identity == principal.identity

    async def note_agent(self, principal: Principal, *, runs_cells: bool = False) -> None:
        """From now on no token of this client approves anything for others.

        One that the operator named for people may look around; where it runs cells it is an agent's all the same.
        """
        agent = (principal.organisation, principal.client)
        is_named = principal.client in self._settings.clients
        if agent not in self._agents and (runs_cells or not is_named):
            self._agents.add(agent)
            await self._shelf.add_agent(*agent)

    async def ask(
        self,
        kind: str,
        approver: str,
        asker: Principal,
        terms: Terms,
        question: Callable[[float], str],
        *,
        risk: str,
        operations: Sequence[str],
        seconds: float,
    ) -> Pending:
        """Puts a question, written down before anybody can answer it. A cell that is asked about already is not again.

        `question(expires_at)` is its text. Raises GatewayError limited.
        """
        live = self._live()
        same = [each for each in live if kind == CELL and each.terms == terms and each.approver == approver]
        if same and (same[0].verdict != DENIED or approver == "person"):  # one's own user may think again
            return same[0]
        mine = [each.expires_at for each in live if each.asker.identity == asker.identity]
        if len(mine) >= self._settings.max_waiting_per_principal or len(live) >= self._settings.max_waiting:
            first = min(mine or (each.expires_at for each in live)) - self._clock()
            message = f"{len(mine)} of your questions wait for an answer; have them answered first"
            raise GatewayError("limited", message, retry_after=max(1.0, round(first)))
        now = self._clock()
        pending = Pending(
            id=self._new_id("apr"),
            kind=kind,
            approver=approver,
            asker=asker,
            terms=terms,
            question=question(now + seconds),
            risk=risk,
            operations=tuple(operations),
            issued_at=now,
            expires_at=now + seconds,
        )
        self._pending[pending.id] = pending
        if kind == CALL:
            self._answers[pending.id] = asyncio.get_running_loop().create_future()
        try:
            await self._shelf.put(pending)
        except BaseException:
            self._pending.pop(pending.id, None)
            self._answers.pop(pending.id, None)
            raise
        self._record(
            ApprovalAsked(
                **self._who(asker, terms.session),
                approval_id=pending.id,
                scope=kind,
                approver=approver,
                risk=risk,
                terms_digest=self._digest(asker.organisation, canonical(asdict(terms))),
                question_digest=self._digest(asker.organisation, pending.question.encode()),
            )
        )
        return pending

    async def wait(self, pending: Pending) -> str:
        """The verdict on a call: approved, denied, expired or void."""
        answer = self._answers[pending.id]
        try:
            await asyncio.wait({answer}, timeout=max(0.0, pending.expires_at - self._clock()))
            if not answer.done():
                await self._end(pending, EXPIRED)
            return answer.result()
        except asyncio.CancelledError:
            await asyncio.shield(self._end(pending, VOID))
            raise
        finally:
            del self._answers[pending.id]

    def get(self, id_: str) -> Pending | None:
        """While it waits or can be used, and not a moment longer."""
        pending = self._pending.get(id_)
        return pending if pending is not None and self._clock() < pending.expires_at else None

    async def answer(self, id_: str, who: Principal, *, approve: bool) -> Pending:
        """By the asker's own user. The first answer stands. Raises GatewayError approval_expired."""
        pending = self.get(id_)
        if pending is None or pending.approver != "user" or pending.asker.identity != who.identity:
            raise refusal("approval_expired")
        return await self._decide(pending, who, approve=approve)

    def waiting_for(self, who: Principal) -> list[Pending]:
        """Oldest first. Raises GatewayError denied."""
        self._refuse_stranger(who)
        return [each for each in self._live() if each.verdict == WAITING and is_told(each, who)]

    async def decide(self, id_: str, who: Principal, *, approve: bool) -> Pending:
        """By another person. Raises GatewayError denied | not_found | conflict."""
        if await self._shelf.is_agent(who.organisation, who.client):  # another gateway of the folder may have seen it
            self._agents.add((who.organisation, who.client))
        self._refuse_stranger(who)
        pending = self.get(id_)
        if pending is None or not is_told(pending, who):
            raise GatewayError("not_found", "nothing waits under this id, or not for you; GET /v1/approvals lists")
        if pending.verdict != WAITING:
            raise GatewayError("conflict", f"it was {pending.verdict} already")
        decided = await self._decide(pending, who, approve=approve)
        if approve and decided.verdict != APPROVED:  # while the yes was written down
            raise GatewayError("conflict", f"it was {decided.verdict or 'over'} already")
        return decided

    async def spend(self, claims: Claims, who: Principal, session_id: str) -> None:
        """Uses an approval up, durably, before what it allows begins. Raises GatewayError approval_used."""
        if not await self._shelf.spend(claims.id, claims.expires_at, self._clock()):
            raise refusal("approval_used")
        self._ended(claims.id, USED, who, session_id)
        if (pending := self._pending.pop(claims.id, None)) is not None:
            await self._shelf.remove(pending)

    async def is_spent(self, id_: str) -> bool:
        return await self._shelf.is_spent(id_)

    async def void(self, session_id: str = "") -> None:
        """Ends what waits, or was approved and not used, of one session; of all where none is named."""
        ended = [each for each in self._pending.values() if session_id in ("", each.terms.session)]
        await asyncio.gather(*(self._end(each, VOID) for each in ended))

    def void_soon(self) -> None:
        """`void` of everything, for whoever cannot wait for it; nothing is approved any more from now on."""
        task = asyncio.ensure_future(self.void())
        self._voiding.add(task)
        task.add_done_callback(self._voiding.discard)

    async def close(self) -> None:
        await asyncio.gather(*self._voiding, return_exceptions=True)

    def notices(self) -> list[str]:
        """What an operator should know."""
        is_asked = any(each.approver == "person" and each.verdict == WAITING for each in self._live())
        if not is_asked or self._settings.clients:
            return []
        return ["a question waits for a person, and any client may bring the answer: name yours in `approvals.clients`"]

    def waits_in(self, session_id: str) -> bool:
        """Whether anything of this session still waits, or was approved and not used."""
        return any(each.terms.session == session_id and each.verdict != DENIED for each in self._live())

    async def forget_expired(self) -> None:
        for each in list(self._pending.values()):
            if each.kind == CELL and not self._clock() < each.expires_at:
                await self._end(each, EXPIRED)

    async def _decide(self, pending: Pending, who: Principal, *, approve: bool) -> Pending:
        if pending.verdict != WAITING:
            return pending
        decided = pending.decided(APPROVED if approve else DENIED, who.subject)
        if approve and pending.kind == CELL:
            await self._shelf.put(decided)  # nothing runs on a yes that a restart would not know of
            now = self._pending.get(pending.id)
            if now is None or now.verdict == DENIED:  # another answer came first, or its end
                await self._shelf.remove(pending)
            if now is not pending:
                return now or pending
        self._pending[pending.id] = decided
        self._ended(pending.id, decided.verdict, who, pending.terms.session)
        if pending.kind == CALL:
            await self._close(decided, decided.verdict)
        elif not approve:
            await self._shelf.remove(decided)
        return decided

    async def _end(self, pending: Pending, outcome: str) -> None:
        if self._pending.get(pending.id) is None:
            return
        self._ended(pending.id, outcome, pending.asker, pending.terms.session)
        await self._close(pending, outcome)

    async def _close(self, pending: Pending, outcome: str) -> None:
        self._pending.pop(pending.id, None)
        if (answer := self._answers.get(pending.id)) is not None and not answer.done():
            answer.set_result(outcome)
        await self._shelf.remove(pending)

    def _ended(self, id_: str, outcome: str, who: Principal, session_id: str) -> None:
        self._record(ApprovalEnded(**self._who(who, session_id), approval_id=id_, outcome=outcome))

    def _who(self, who: Principal, session_id: str) -> dict[str, Any]:
        return {
            "at": self._clock(),
            "organisation": who.organisation,
            "subject": who.subject,
            "client": who.client,
            "session_id": session_id,
        }

    def _refuse_stranger(self, who: Principal) -> None:
        if reason := why_not(who, self._agents, self._settings.clients):
            raise GatewayError("denied", reason)

    def _live(self) -> list[Pending]:
        now = self._clock()
        return [each for each in self._pending.values() if now < each.expires_at]
