"""Lets the kernels of idle sessions go, closes what nobody used for long, and forgets expired answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from kernel_gateway.approvals.queue import Queue
from kernel_gateway.crash import places as crash_places
from kernel_gateway.sessions.places import Places
from kernel_gateway.sessions.session import Session
from kernel_gateway.sessions.settings import SessionSettings
from kernel_gateway.sessions.turns import Turns

log = logging.getLogger(__name__)

End = Callable[[Session, str], Awaitable[None]]


class Rest(Protocol):
    def __call__(self, session: Session, reason: str, /, *, at_any_rate: bool) -> Awaitable[bool]: ...


class Upkeep:
    """`rest` and `close` end a session's kernel, and the session, for a reason."""

    def __init__(
        self,
        places: Places,
        queue: Queue,
        turns: Turns,
        settings: SessionSettings,
        clock: Callable[[], float],
        rest: Rest,
        close: End,
    ) -> None:
        self._places, self._queue, self._turns = places, queue, turns
        self._settings, self._clock, self._rest, self._close = settings, clock, rest, close
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Upkeep {'running' if self.is_running else 'stopped'}>"

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        self._task = asyncio.create_task(self._regularly(), name="session-upkeep")

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _regularly(self) -> None:
        while True:
            await asyncio.sleep(self._settings.reap_interval_seconds)
            self._turns.forget_expired()
            await self._queue.forget_expired()
            await asyncio.gather(*map(self._look_at, self._places))  # one may take long, and nobody waits for it

    async def _look_at(self, session: Session) -> None:
        try:
            await self._end_if_unused(session)
        except Exception as error:
            log.error("ending an idle session failed: %s", crash_places(error))

    async def _end_if_unused(self, session: Session) -> None:
        if session.state == "busy" or self._queue.waits_in(session.id):  # a person may take longer than it has
            return
        unused = self._clock() - session.used_at
        if unused > self._settings.ttl_seconds:
            await self._close(session, "expired")
        elif unused > self._settings.idle_seconds and session.seat.is_taken:
            at_any_rate = unused > 2 * self._settings.idle_seconds  # it was tried, and cannot be saved
            await self._rest(session, "idle", at_any_rate=at_any_rate)
