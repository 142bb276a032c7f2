"""Writes refusals down by the interval and not by the request: anybody can cause them, and the disk is everybody's."""

import asyncio
from collections import Counter
from collections.abc import Callable

from kernel_gateway.audit.events import Event, Refused

INTERVAL_SECONDS = 1.0


class Refusals:
    """The first of a code is recorded at once, what follows within the interval as one event with its count."""

    def __init__(self, record: Callable[[Event], None], rule: str) -> None:
        self._record, self._rule = record, rule
        self._counted: Counter[str] = Counter()
        self._open: set[str] = set()

    def __repr__(self) -> str:
        return f"<Refusals {self._counted.total()} counted>"

    def count(self, code: str) -> None:
        if code in self._open:
            self._counted[code] += 1
            return
        self._open.add(code)
        asyncio.get_running_loop().call_later(INTERVAL_SECONDS, self._close, code)
        self._record(Refused(code=code, rule=self._rule))

    def _close(self, code: str) -> None:
        self._open.discard(code)
        if count := self._counted.pop(code, 0):
            self._record(Refused(code=code, rule=self._rule, count=count))
