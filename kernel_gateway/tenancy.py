"""Sessions come, rest and go. Whatever becomes of one is written down."""

import asyncio
from typing import Any

from kernel_gateway.approvals.queue import Queue
from kernel_gateway.audit.events import SessionClosed, SessionOpened
from kernel_gateway.audit.journal import Journal
from kernel_gateway.audit.lifecycle import SessionHibernated
from kernel_gateway.auth.principal import Principal
from kernel_gateway.limits.usage import Tally
from kernel_gateway.sessions.durable import Durable
from kernel_gateway.sessions.forking import Forking
from kernel_gateway.sessions.places import Places
from kernel_gateway.sessions.services import Services
from kernel_gateway.sessions.session import Session
from kernel_gateway.sessions.settings import SessionSettings

_INTERRUPTED = "what a cell did whose call waited when the gateway ended: its approval is void and nothing was sent"


class Tenancy:
    def __init__(
        self, places: Places, services: Services, settings: SessionSettings, journal: Journal, queue: Queue
    ) -> None:
        self._places, self._services, self._settings = places, services, settings
        self._journal, self._queue = journal, queue

    def __repr__(self) -> str:
        return f"<Tenancy of {self._places!r}>"

    async def restore(self) -> None:
        """What an earlier gateway left, without kernels; and sessions whose first cell waits for an answer."""
        if (durable := self._services.durable) is not None:
            await self._restore_from(durable)
        for pending in await self._queue.start():
            session = self._places.get(pending.terms.session) or Session(
                pending.terms.session, pending.asker, self._services, self._settings
            )
            if pending.terms.state == session.version:
                self._places.take(session)
            else:
                await self._queue.void(session.id)
        for session in self._places:
            if self._queue.was_interrupted(session.id, session.owner):
                session.seat.news.lost.append(_INTERRUPTED)

    async def _restore_from(self, durable: Durable) -> None:
        forking = Forking(durable, self._journal.record, self._services.clock)
        trees: dict[str, Tally] = {}
        for session_id, life in (await durable.register.all()).items():
            session = Session(session_id, life.owner, self._services, self._settings, life)
            await forking.resume(session)
            session.account.tree = tree = trees.setdefault(life.lineage, session.account.tree)
            tree.used = tree.used.plus(life.used)
            self._places.take(session)
        for session_id in await durable.left_over():
            if self._places.get(session_id) is None:
                await durable.forget(session_id)

    async def leave(self) -> None:
        """The gateway ends. Sessions that ran a cell are there for the next one."""
        await asyncio.gather(*map(self._leave, self._places))

    async def _leave(self, session: Session) -> None:
        if self._services.durable is None or not session.cells:
            await self.end(session, "shutdown")
        else:
            await self.rest(session, "shutdown")

    def open(self, principal: Principal, reason: str = "execute", services: Services | None = None) -> Session:
        """Raises GatewayError limited."""
        session = self._places.open(principal, services)
        self._journal.record(SessionOpened(**self.who(session), reason=reason))
        return session

    async def rest(self, session: Session, reason: str, *, at_any_rate: bool = False) -> bool:
        """Its kernel goes, the session stays. False where it could not go."""
        if await session.hibernate(at_any_rate=at_any_rate):
            self._journal.record(SessionHibernated(**self.who(session), reason=reason))
            return True
        if reason == "shutdown":  # busy, or it cannot be saved: what is committed comes back
            await session.close()
        return False

    async def end(self, session: Session, reason: str) -> None:
        """With everything that is kept of it."""
        if not self._places.give_back(session):
            return  # somebody else is closing it already
        self._services.broker.forget_session(session.id)
        self._journal.record(SessionClosed(**self.who(session), reason=reason))
        try:
            await session.close()
        finally:
            if self._services.durable is not None:
                await self._services.durable.forget(session.id)
            await self._services.broker.shred_session(session.id)
            if reason != "shutdown":  # what still waits then is there after a restart
                await self._queue.void(session.id)

    def who(self, session: Session) -> dict[str, Any]:
        """What every event of a session says of it."""
        owner = session.owner
        return {
            "at": self._services.clock(),
            "organisation": owner.organisation,
            "subject": owner.subject,
            "client": owner.client,
            "session_id": session.id,
        }
