"""Sessions that go on after an earlier cell of another, or of themselves. Whose they are was decided before."""

from kernel_gateway.approvals.queue import Queue
from kernel_gateway.audit.lifecycle import SessionForked
from kernel_gateway.auth.delegation import opener, together
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.forking import Forking
from kernel_gateway.sessions.places import Places
from kernel_gateway.sessions.services import Services
from kernel_gateway.sessions.session import Session
from kernel_gateway.sessions.settings import SessionSettings


class Branches:
    def __init__(self, places: Places, services: Services, settings: SessionSettings, queue: Queue) -> None:
        self._places, self._services, self._settings, self._queue = places, services, settings, queue

    def __repr__(self) -> str:
        return f"<Branches of {self._places!r}>"

    async def fork(self, principal: Principal, parent: Session, at: int) -> Session:
        """A new session of the caller's, with the owner's authority and the caller's own together; `parent` stays.

        Approvals and idempotency keys do not travel; the budget of the tree is one.
        """
        forking, owner = self._forking(), opener(together(principal, parent.owner))
        if at == parent.cells:
            await parent.settle()
        self._places.require(principal)
        session_id = self._services.new_id("ses")
        life = await forking.child(parent, owner, at, session_id)
        try:
            self._places.require(principal)  # others may have come meanwhile
        except BaseException:
            assert self._services.durable is not None
            await self._services.durable.forget(session_id)
            raise
        child = Session(session_id, owner, self._services, self._settings, life)
        child.account.tree = parent.account.tree
        self._services.broker.share_handles(parent.id, child.id)
        self._places.take(child)
        self._record(child, parent, at)
        return child

    async def go_back(self, _: Principal, session: Session, at: int) -> Session:
        """The session itself, on a new branch: what came after that cell leads nowhere any more."""
        forking = self._forking()
        await session.go_back(lambda: forking.back(session, at))
        await self._queue.void(session.id)
        self._record(session, session, at)
        return session

    def _record(self, session: Session, parent: Session, at: int) -> None:
        owner = session.owner
        self._services.record(
            SessionForked(
                at=self._services.clock(),
                organisation=owner.organisation,
                subject=owner.subject,
                client=owner.client,
                session_id=session.id,
                parent=parent.id,
                cell=at,
            )
        )

    def _forking(self) -> Forking:
        if self._services.durable is None:
            raise GatewayError("not_available", "this service keeps no session's state")
        return Forking(self._services.durable, self._services.record, self._services.clock)
