"""A cell of a replay in its session: under way, paused for a person's answer, over."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from kernel_gateway.approvals.token import Terms
from kernel_gateway.errors import GatewayError
from kernel_gateway.policy.plan import ANY, Plan
from kernel_gateway.sessions.permit import Permit
from kernel_gateway.sessions.result import ExecuteRequest, ExecuteResult
from kernel_gateway.sessions.session import Session
from kernel_gateway.sessions.turns import Turn
from notebooks.transcript import Ran

_ANY_CALL = Plan({ANY: 2**31})  # each is decided by itself, and the limits of calls hold as ever


class Performance:
    """`result` is of the cell that has just ended; it is no cell's where none ran."""

    def __init__(self, session: Session, seconds: float) -> None:
        self.result = ExecuteResult("invalid", session.id, 0)
        self._session, self._seconds, self._ran = session, seconds, seconds
        self._author = "agent"
        self._questions: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def next(self, ran: Ran | None) -> None:
        """The cell that comes. One that was interrupted at its deadline has no longer this time."""
        event = ran.event if ran is not None else {}
        self._author = event.get("author") or "agent"
        had = event["duration_ms"] / 1000 if event.get("status") == "timeout" else self._seconds
        self._ran = min(max(had, 0.1), self._seconds)

    async def run(self, code: str) -> ExecuteResult:
        """Never raises GatewayError: what kept the cell from running is in the result."""
        session = self._session
        turn = Turn(None, b"", asyncio.get_running_loop().create_future())
        request = ExecuteRequest(code, session.id, timeout_seconds=self._ran, author=self._author)
        turn.task = asyncio.create_task(session.execute(request, turn, self._permitted(code)))
        known: set[str] = set()
        try:
            while not turn.task.done():
                await turn.news(None)
                for id_, pending in turn.paused_by.items():
                    if id_ not in known:
                        known.add(id_)
                        self._questions.put_nowait({"waits_for": id_, "operations": list(pending.operations)})
            self.result = turn.task.result()
        except GatewayError as error:
            self.result = ExecuteResult("invalid", session.id, session.cells, code=error.code, message=error.message)
        finally:
            turn.task.cancel()
        return self.result

    async def during(self, running: Coroutine[Any, Any, object]) -> AsyncIterator[dict[str, Any]]:
        """The questions that come up until it is over."""
        task = asyncio.create_task(running)
        task.add_done_callback(lambda _: self._questions.put_nowait(None))
        try:
            while (question := await self._questions.get()) is not None:
                yield question
            await task
        finally:
            task.cancel()

    def _permitted(self, code: str) -> Any:
        owner, session = self._session.owner, self._session

        async def redeem() -> Permit:
            scopes = tuple(sorted(owner.scopes))
            terms = Terms(code, session.id, owner.identity, scopes, owner.role, session.version, "", "", {})
            return Permit(owner, _ANY_CALL, "auto", terms, {})

        return redeem
