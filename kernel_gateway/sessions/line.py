"""Who has a session's turn, and who waits for it: one cell at a time, in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.settings import SessionSettings
from kernel_gateway.sessions.turns import Stop

RETRY_BUSY_SECONDS = 5.0  # most cells take less


class Line:
    def __init__(self, session_id: str, settings: SessionSettings) -> None:
        self._session_id, self._settings = session_id, settings
        self._turn = asyncio.Lock()
        self._waiting = 0

    def __repr__(self) -> str:
        return f"<Line {'taken' if self.is_taken else 'free'}, {self._waiting} wait>"

    @property
    def is_taken(self) -> bool:
        return self._turn.locked()

    @property
    def is_free(self) -> bool:
        return not self._turn.locked() and not self._waiting

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """For what is no cell: whoever comes meanwhile waits."""
        async with self._turn:
            yield

    def leave(self) -> None:
        """Whoever has the turn gives it to the next."""
        self._turn.release()

    async def enter(self, stop: Stop) -> bool:
        """False where `stop` came first. Raises GatewayError("busy")."""
        ahead = self._waiting + self._turn.locked()
        if ahead > self._settings.max_waiting:
            message = f"session `{self._session_id}` has {ahead} cells to run first; send them one at a time"
            raise GatewayError("busy", message, retry_after=RETRY_BUSY_SECONDS)
        if not ahead:
            await self._turn.acquire()  # at once: nobody holds it, and nobody waits for it
            return True
        self._waiting += 1
        taken = asyncio.ensure_future(self._turn.acquire())
        first: set[asyncio.Future[Any]] = {taken, stop}
        try:
            await asyncio.wait(first, timeout=self._settings.max_wait_seconds, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if taken.done():
                self._turn.release()
            raise
        finally:
            self._waiting -= 1
            if not taken.done():
                taken.cancel()
        if taken.done() or stop.done():
            return taken.done()
        message = f"session `{self._session_id}` is still running another cell; try again later"
        raise GatewayError("busy", message, retry_after=RETRY_BUSY_SECONDS)
