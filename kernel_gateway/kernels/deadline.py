"""How long a cell may still run: a clock that stands still while the cell waits for a person."""

import asyncio
import math


class Deadline:
    """`passed` resolves once `seconds` have gone by while it ran. It does not run before `start`.

    `ran_seconds` and `stopped_seconds` together are the time since its first start.
    """

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.passed: asyncio.Future[None] = self._loop.create_future()
        self._seconds, self._left, self._since = seconds, seconds, 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped, self._stopped_at = 0.0, math.inf

    def __repr__(self) -> str:
        return f"<Deadline {'running' if self._timer else 'stopped'}, {self._left:g} s left at its last start>"

    @property
    def ran_seconds(self) -> float:
        return self._seconds - self._left_now()

    @property
    def stopped_seconds(self) -> float:
        return self._stopped + max(0.0, self._loop.time() - self._stopped_at)

    def start(self) -> None:
        """Goes on with what is left. Nothing happens where it runs already."""
        if self._timer is None:
            self._stopped, self._stopped_at = self.stopped_seconds, math.inf
            self._since = self._loop.time()
            self._timer = self._loop.call_later(self._left, self._pass)

    def stop(self) -> None:
        """Stands still until `start`. What has passed stays passed."""
        if self._timer is not None:
            self._left = self._left_now()
            self._timer.cancel()
            self._timer, self._stopped_at = None, self._loop.time()

    def _left_now(self) -> float:
        return self._left if self._timer is None else max(0.0, self._left - (self._loop.time() - self._since))

    def _pass(self) -> None:
        if not self.passed.done():
            self.passed.set_result(None)
