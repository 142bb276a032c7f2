"""Hits in windows that move with the clock, and where they are kept in memory, for one gateway alone.

The library's own storage in memory sweeps all its keys after each hit, every one of them on a thread. This one lets a
key's old hits go when the key is used, and keys that nobody uses from time to time.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

_SWEEP_SECONDS = 60.0  # between looks for keys that nobody uses; a look costs 0.1 microseconds a key


class Windows(Protocol):
    """What the storages of `limits` do for moving windows: exactly so many hits in any, and exactly when there is room.
    A storage raises limits.errors.StorageError."""

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """False where the window of `expiry` seconds has no room."""

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The time of the oldest hit in the window, and how many there are."""


class MemoryWindows:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._hits: dict[str, tuple[deque[float], float]] = {}
        self._swept_at = clock()

    def __len__(self) -> int:
        return len(self._hits)

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        now = self._clock()
        hits = self._current(key, now, expiry)
        if len(hits) + amount > limit:
            return False
        hits.extend((now,) * amount)
        if now >= self._swept_at + _SWEEP_SECONDS:
            self._sweep(now)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        now = self._clock()
        hits = self._current(key, now, expiry)
        return (hits[0] if hits else now), len(hits)

    def _current(self, key: str, now: float, expiry: int) -> deque[float]:
        if (held := self._hits.get(key)) is None:
            held = self._hits[key] = (deque(), expiry)
        hits = held[0]
        while hits and hits[0] <= now - expiry:
            hits.popleft()
        return hits

    def _sweep(self, now: float) -> None:
        self._swept_at = now
        self._hits = {
            key: (hits, expiry) for key, (hits, expiry) in self._hits.items() if hits and hits[-1] > now - expiry
        }
