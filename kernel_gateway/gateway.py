"""The OUTER DOOR: search and execute for a verified principal, and the sessions it owns. Every front end uses it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from catalog import Catalog
from kernel_gateway.approvals.pending import Pending
from kernel_gateway.approvals.queue import Queue
from kernel_gateway.audit.events import Searched, SessionDelegated, SourceShown
from kernel_gateway.audit.journal import Journal
from kernel_gateway.audit.refusals import Refusals
from kernel_gateway.auth.delegation import delegate, opener
from kernel_gateway.auth.principal import Principal
from kernel_gateway.branches import Branches
from kernel_gateway.cells import Cells
from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.meter import Meter
from kernel_gateway.permits import Permits, at_the_door
from kernel_gateway.policy.request import Authorizer, Request
from kernel_gateway.policy.usable import Usable
from kernel_gateway.search import SearchAnswer, answer
from kernel_gateway.sessions.ancestry import history
from kernel_gateway.sessions.checks import check
from kernel_gateway.sessions.places import Places
from kernel_gateway.sessions.result import ExecuteRequest, ExecuteResult
from kernel_gateway.sessions.services import Services
from kernel_gateway.sessions.session import Session
from kernel_gateway.sessions.settings import SessionSettings
from kernel_gateway.sessions.sources import Sources
from kernel_gateway.sessions.summary import summary
from kernel_gateway.sessions.turns import Progress, Turns
from kernel_gateway.tenancy import Tenancy
from kernel_gateway.upkeep import Upkeep

SCOPES = {
    "search": "kernel.search",
    "execute": "kernel.execute",
    "interrupt": "kernel.execute",
    "read": "kernel.read",
    "create": "kernel.create",
    "delete": "kernel.delete",
    "approve": "kernel.approve",
}


class Gateway:
    """Sessions by id; another's session is not found. `start` and `close` belong to the composition root."""

    def __init__(
        self,
        usable: Usable,
        authorizer: Authorizer,
        services: Services,
        journal: Journal,
        settings: SessionSettings,
        permits: Permits,
        queue: Queue,
        meter: Meter,
        sources: Sources,
        *,
        unsafe: str = "",
        notices: Callable[[], list[str]] = list,
    ) -> None:
        self._usable, self._authorizer, self._services = usable, authorizer, services
        self._journal, self._settings, self._meter = journal, settings, meter
        self._unsafe, self._notices = unsafe, notices
        self._queue, self._sources = queue, sources
        self._places, self._refusals = Places(services, settings), Refusals(journal.record)
        self._turns = Turns(
            settings.answer_ttl_seconds, settings.max_answers, settings.max_answer_bytes, services.clock
        )
        self.tenancy = tenancy = Tenancy(self._places, services, settings, journal, queue)
        self._branches = Branches(self._places, services, settings, queue)
        self._cells = Cells(
            self._turns,
            permits,
            queue,
            self._session,
            tenancy.open,
            tenancy.end,
            partial(self._places.room, tenancy.rest),
            self._branches.fork,
        )
        self._upkeep = Upkeep(self._places, queue, self._turns, settings, services.clock, tenancy.rest, tenancy.end)

    def __repr__(self) -> str:
        return f"<Gateway {len(self._places)} sessions, {self._turns!r}>"

    async def start(self) -> None:
        """Sessions come back as they were; also one that has only a question about its first cell, which waits."""
        await self.tenancy.restore()
        self._upkeep.start()

    async def close(self) -> None:
        self._upkeep.stop()
        await self._turns.close()
        await self.tenancy.leave()

    def ready(self) -> tuple[bool, list[str]]:
        """Whether the service keeps its promises, and where not; then what does no harm, but should be known."""
        reasons = []
        if not self._upkeep.is_running:
            reasons.append("the upkeep of sessions is not running")
        if self._journal.is_failing:
            reasons.append("the journal cannot be written")
        if off := self._services.switch.refuses():
            reasons.append(off)
        if self._journal.fault:
            reasons.append(f"{self._journal.fault}; see `kernel-gateway audit verify`")
        if self._unsafe:
            reasons.append(self._unsafe)
        return not reasons, reasons + self._notices()

    async def admit(self, principal: Principal) -> None:
        """One HTTP request of a caller, whatever it is for. Raises GatewayError limited | disabled."""
        await self._meter.admit("request", principal)

    def has(self, session_id: str) -> bool:
        """Whoever's it is."""
        return self._places.get(session_id) is not None

    def live(self) -> list[Session]:
        """Everybody's open sessions."""
        return list(self._places)

    def catalog_for(self, principal: Principal) -> Catalog:
        """The operations this caller may use."""
        return self._usable.catalog_for(principal)

    async def search(
        self, principal: Principal, query: str, *, limit: int = 10, server: str = "", detail: str = "brief"
    ) -> SearchAnswer:
        """The contract's structured result. Raises GatewayError."""
        with self._refusals.of(principal, "search"):
            await self._meter.admit("search", principal)
            self._decide(principal, "search", "")
        visible = self.catalog_for(principal)
        found = answer(visible, query, limit=limit, server=server, detail=detail)
        await self._queue.note_agent(principal)
        self._journal.record(
            Searched(
                at=self._services.clock(),
                organisation=principal.organisation,
                subject=principal.subject,
                client=principal.client,
                query_length=len(query),
                hits=len(found["hits"]),
            )
        )
        return found

    async def execute(
        self,
        principal: Principal,
        request: ExecuteRequest,
        *,
        on_progress: Progress | None = None,
        detach_on_cancel: bool = False,
    ) -> ExecuteResult:
        """Runs a cell, or joins or answers from the turn of the same `request_id`; `permits.py` says what else can be.

        Cancelling the caller interrupts the cell; with `detach_on_cancel` the cell goes on to its own deadline.
        Raises GatewayError: denied, invalid, not_found, conflict, limited, busy, disabled, sandbox.
        """
        principal, session_id = opener(principal), request.session_id
        with self._refusals.of(principal, "execute", self._own(principal, session_id)):
            await self._meter.admit("execute", principal)
            self._decide(principal, "execute", session_id)
            check(request, self._settings)
            result = await self._cells.execute(principal, request, on_progress, detach_on_cancel=detach_on_cancel)
        if result.status == "denied":
            error = GatewayError(result.code, result.message, rule=result.rule)
            self._refusals.count(error, principal.front_end, principal, "execute", result.session_id)
        return result

    async def approvals(self, principal: Principal) -> list[Pending]:
        """What waits for this person, oldest first. Raises GatewayError denied."""
        with self._asked(principal, "approve"):
            return self._queue.waiting_for(principal)

    async def decide_approval(self, principal: Principal, approval_id: str, *, approve: bool) -> Pending:
        """Raises GatewayError denied | not_found | conflict."""
        with self._asked(principal, "approve", approval_id):
            return await self._queue.decide(approval_id, principal, approve=approve)

    async def create_session(self, principal: Principal, wanted: Sequence[str]) -> dict[str, Any]:
        """Without a cell: it may read, and what the `wanted` flags hand on. Raises GatewayError denied, limited."""
        with self._asked(principal, "create"):
            given = delegate(principal, wanted, self._usable.roles.flags, self._usable.reading)
            session = self.tenancy.open(given.principal, "create")
        for flag in given.granted:
            self._journal.record(SessionDelegated(**self.tenancy.who(session), flag=flag))
        await self._queue.note_agent(principal)
        await self._journal.flush()
        told = {"scopes": sorted(session.grant), "delegate": list(given.granted), "skipped": list(given.skipped)}
        return summary(session) | told

    async def sessions(self, principal: Principal) -> list[dict[str, Any]]:
        with self._asked(principal, "read"):
            return [summary(session) for session in self._places.of(principal)]

    async def session(self, principal: Principal, session_id: str) -> dict[str, Any]:
        with self._asked(principal, "read", session_id):
            return summary(self._session(principal, session_id))

    async def transcript(self, principal: Principal, session_id: str) -> list[dict[str, Any]]:
        """The journal, filtered by session; also of a session that was closed not long ago."""
        with self._asked(principal, "read", session_id):
            if not self._places.had(principal, session_id):
                self._session(principal, session_id)
        await self._journal.flush()
        return await self._journal.transcript(session_id)

    async def history(self, principal: Principal, session_id: str) -> list[dict[str, Any]]:
        """As `transcript`, after those of the sessions it was forked from."""
        await self.transcript(principal, session_id)
        return await history(session_id, self._journal.transcript)

    async def source(self, principal: Principal, session_id: str) -> dict[str, str]:
        """The text of the cells of an open session, redacted, by their ids. Raises GatewayError not_available too."""
        with self._asked(principal, "read", session_id):
            session = self._session(principal, session_id)
        return await self.source_of(session, principal)

    async def source_of(self, session: Session, reader: Principal) -> dict[str, str]:
        """As `source`, for whoever was allowed to read it. Who did is written down."""
        shown = await self._sources.shown(session.id)
        who = {"subject": reader.subject, "client": reader.client}
        self._journal.record(SourceShown(**{**self.tenancy.who(session), **who}, reason="exported"))
        await self._journal.flush()
        return shown

    async def fork(self, principal: Principal, session_id: str, at: int, *, in_place: bool = False) -> dict[str, Any]:
        """Goes on after cell `at`: in a new session, or in this one.

        Raises GatewayError invalid, not_available, limited, busy.
        """
        with self._asked(principal, "execute", session_id):
            session = self._session(principal, session_id)
        child = await (self._branches.go_back if in_place else self._branches.fork)(principal, session, at)
        await self._journal.flush()
        return summary(child)

    async def fork_of(self, session: Session, at: int) -> Session:
        """For its owner, by the operator."""
        child = await self._branches.fork(session.owner, session, at)
        await self._journal.flush()
        return child

    async def interrupt(self, principal: Principal, session_id: str) -> bool:
        """False where no cell runs."""
        with self._asked(principal, "interrupt", session_id):
            return self._session(principal, session_id).seat.interrupt()

    async def close_session(self, principal: Principal, session_id: str) -> None:
        with self._asked(principal, "delete", session_id):
            session = self._session(principal, session_id)
        await self.tenancy.end(session, "closed")
        await self._journal.flush()

    @contextmanager
    def _asked(self, principal: Principal, action: str, resource: str = "") -> Iterator[None]:
        """What is asked for inside is decided first. Whatever refuses it, it is written down."""
        with self._refusals.of(principal, action, self._own(principal, resource)):
            self._decide(principal, action, resource)
            yield

    def _decide(self, principal: Principal, action: str, resource: str) -> None:
        session = self._places.find(principal, resource)
        context = at_the_door(self._services.clock(), session.account if session else None)
        decision = self._authorizer.decide(Request(principal, action, resource, SCOPES[action], context))
        if not decision.allowed:
            raise GatewayError(decision.code, decision.reason, rule=decision.rule)

    def _own(self, principal: Principal, session_id: str) -> str:
        """The id of a session of the caller's; "" for any other."""
        return session_id if self._places.find(principal, session_id) else ""

    def _session(self, principal: Principal, session_id: str) -> Session:
        if (session := self._places.find(principal, session_id)) is None:
            what = "it is unknown, expired or closed; leave out `session_id` to start a new one"
            if self._queue.was_interrupted(session_id, principal):
                what = (
                    "the gateway restarted while a call waited: its approval is void and nothing was sent; start anew"
                )
            raise GatewayError("not_found", f"no session `{session_id[:80]}`: {what}")
        return session
