"""A cell from its request to its answer: joined, admitted, begun, waited for. The sessions are the gateway's."""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from kernel_gateway.approvals.queue import Queue
from kernel_gateway.approvals.token import refusal
from kernel_gateway.auth.delegation import together
from kernel_gateway.auth.principal import Principal
from kernel_gateway.permits import Permits
from kernel_gateway.sessions.permit import Permit
from kernel_gateway.sessions.result import ExecuteRequest, ExecuteResult
from kernel_gateway.sessions.session import Session
from kernel_gateway.sessions.turns import Key, Progress, Stop, Turn, Turns


@dataclass(frozen=True, slots=True)
class Cells:
    """`find(principal, id)` and `open(principal)` give a session or raise GatewayError; `close(session, reason)`;
    `room(session)` is a context in which it may have a kernel; `fork(principal, session, at)` gives a new one."""

    turns: Turns
    permits: Permits
    queue: Queue
    find: Callable[[Principal, str], Session]
    open: Callable[[Principal], Session]
    close: Callable[[Session, str], Awaitable[None]]
    room: Callable[[Session], AbstractAsyncContextManager[None]]
    fork: Callable[[Principal, Session, int], Awaitable[Session]]

    async def execute(
        self, principal: Principal, request: ExecuteRequest, on_progress: Progress | None, *, detach_on_cancel: bool
    ) -> ExecuteResult:
        await self.queue.note_agent(principal, runs_cells=True)
        digest = hashlib.sha256(request.code.encode()).digest()
        turn = await self._answered(principal, request) or self._repeated(principal, request, digest)
        if turn is None:
            begun = await self._begin(principal, request, digest)
            if isinstance(begun, ExecuteResult):
                return begun
            turn = begun
        outcome = await self.turns.wait(
            turn,
            detach_on_cancel=detach_on_cancel,
            on_progress=on_progress,
            patience_seconds=self.permits.settings.join_seconds,
        )
        if isinstance(outcome, ExecuteResult):
            return outcome
        session = self.find(principal, outcome.terms.session)
        if not request.request_id:
            self.turns.name(turn, _key(principal, session.id, "", digest))
        return self.permits.paused(request, session, outcome)

    async def _answered(self, principal: Principal, request: ExecuteRequest) -> Turn | None:
        """The cell whose paused call this request answers for, by its user or with its token. Raises GatewayError."""
        session_id = self._session_of(request)
        if not session_id or (request.answer is None and not request.approval_token):
            return None
        session = self.find(principal, session_id)
        answered = await self.permits.agree_to_call(together(principal, session.owner), request, session)
        return self.turns.asked_for(answered, principal.identity) if answered else None

    def _repeated(self, principal: Principal, request: ExecuteRequest, digest: bytes) -> Turn | None:
        """The cell of an earlier request with this id; without an id, the same cell where it was told to be paused."""
        if request.request_id:
            return self.turns.find(_key(principal, request.session_id, request.request_id), digest)
        return self.turns.rejoin(_key(principal, request.session_id, "", digest), digest)

    async def _begin(self, principal: Principal, request: ExecuteRequest, digest: bytes) -> Turn | ExecuteResult:
        session_id = self._session_of(request)
        if request.approval_token and not session_id:
            raise refusal("approval_session")
        session = self.find(principal, session_id) if session_id else None
        if request.fork_from_cell and session is not None:
            return await self._begin_fork(principal, request, digest, session)
        if session is not None:
            principal = together(principal, session.owner)
        found = await self.permits.read(principal, request, session)
        if isinstance(found, ExecuteResult):
            return found
        is_new, session = session is None, session or self.open(principal)
        try:
            permit = await self.permits.admit(principal, request, session, found)
            turn = self._repeated(principal, request, digest)  # begun by another while this one was admitted
        except BaseException:
            if is_new:
                await self.close(session, "unused")
            raise
        is_unknown = not request.session_id and session.cells == 0  # its id was not told to anybody
        if isinstance(permit, ExecuteResult):
            if permit.status != "denied" or not is_unknown:
                return permit
            await self.close(session, "unused")
            return replace(permit, session_id="")
        if turn is not None and is_new:
            await self.close(session, "unused")
        return turn or self._begun(principal, request, digest, session, permit)

    async def _begin_fork(
        self, principal: Principal, request: ExecuteRequest, digest: bytes, parent: Session
    ) -> Turn | ExecuteResult:
        """In a new session, which is told with the answer whatever that is."""
        child = await self.fork(principal, parent, request.fork_from_cell)
        origin = f"{parent.id}@{request.fork_from_cell}.{parent.life.epoch}"  # the same when it is asked for again
        forked = replace(request, session_id=child.id, fork_from_cell=0, origin=origin)
        try:
            principal = together(principal, child.owner)
            found = await self.permits.read(principal, forked, child)
            if isinstance(found, ExecuteResult):
                return found
            permit = await self.permits.admit(principal, forked, child, found)
            if isinstance(permit, ExecuteResult):
                return permit
            turn = self._repeated(principal, request, digest)  # begun by another while this one was admitted
        except BaseException:
            await self.close(child, "unused")
            raise
        if turn is not None:
            await self.close(child, "unused")
            return turn
        turn = self._begun(principal, forked, digest, child, permit)
        if request.request_id:
            self.turns.name(turn, _key(principal, request.session_id, request.request_id))
        return turn

    def _begun(
        self, principal: Principal, request: ExecuteRequest, digest: bytes, session: Session, permit: Permit
    ) -> Turn:
        async def run(_: Stop) -> ExecuteResult:
            try:
                async with self.room(session):
                    return await session.execute(request, turn, lambda: self.permits.redeem(permit, request, session))
            finally:
                if session.cells == 0 and not request.session_id:  # it never had a kernel, and nobody knows its id
                    await self.close(session, "unused")

        id_ = request.request_id
        turn = self.turns.begin(_key(principal, request.session_id, id_) if id_ else None, digest, run)
        turn.owner = principal.identity
        if id_:
            self.turns.name(turn, _key(principal, session.id, id_))
        return turn

    def _session_of(self, request: ExecuteRequest) -> str:
        """A user's answer comes with the arguments of the first request, which may not have known its session."""
        pending = self.queue.get(request.answer.id) if request.answer is not None else None
        return pending.terms.session if pending is not None else request.session_id


def _key(principal: Principal, session_id: str, request_id: str, digest: bytes = b"") -> Key:
    return (principal.identity, session_id, request_id, digest)
