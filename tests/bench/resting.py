"""What the bench asks of a gateway's sessions beside their cells: to keep nothing, and how long going to rest took."""

import functools
import time
from typing import Any

from kernel_gateway.sessions.saving import Saving
from kernel_gateway.sessions.session import Session


class Resting:
    def __init__(self) -> None:
        self._soon, self._hibernate = Saving.soon, Session.hibernate
        self._taken: list[float] = []

    def keep_nothing(self) -> None:
        """Whose cell ends from here on is not saved for it."""
        Saving.soon = lambda *_: None  # type: ignore[method-assign]

    def keep(self) -> None:
        Saving.soon = self._soon  # type: ignore[method-assign]

    def time(self) -> None:
        """From here on the sessions that go to rest are timed."""

        @functools.wraps(self._hibernate)
        async def timed(session: Session, *args: Any) -> bool:
            started = time.perf_counter()
            is_at_rest = await self._hibernate(session, *args)
            if is_at_rest:
                self._taken.append((time.perf_counter() - started) * 1000)
            return is_at_rest

        Session.hibernate = timed  # type: ignore[method-assign]

    def taken(self) -> list[float]:
        """Milliseconds of each since the last time."""
        taken, self._taken = self._taken, []
        return taken
