"""Writes refusals down by the interval and not by the request: anybody can cause them, and the disk is everybody's."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from kernel_gateway.audit.events import Event, Refused
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError

INTERVAL_SECONDS = 1.0


class Refusals:
    """The first of a kind is recorded at once, what follows within the interval as one event with its count.

    Of a kind are those of one caller with one code, rule, action and session.
    """

    def __init__(self, record: Callable[[Event], None]) -> None:
        self._record = record
        self._counted: Counter[Refused] = Counter()
        self._open: set[Refused] = set()

    def __repr__(self) -> str:
        return f"<Refusals {self._counted.total()} counted>"

    @contextmanager
    def of(self, who: Principal, action: str, session_id: str = "") -> Iterator[None]:
        """What is raised inside is a refusal of `action`, unless something broke."""
        try:
            yield
        except GatewayError as error:
            if error.meaning.http < 500 or error.code == "disabled":
                self.count(error, who.front_end, who, action, session_id)
            raise

    def count(
        self, error: GatewayError, door: str, who: Principal | None = None, action: str = "", session_id: str = ""
    ) -> None:
        """`session_id` is one of the caller's own: no other session's transcript may be written into."""
        kind = Refused(
            organisation=who.organisation if who else "",
            subject=who.subject if who else "",
            client=who.client if who else "",
            session_id=session_id,
            code=error.code,
            door=door,
            action=action,
            rule=error.rule,
        )
        if kind in self._open:
            self._counted[kind] += 1
            return
        self._open.add(kind)
        asyncio.get_running_loop().call_later(INTERVAL_SECONDS, self._close, kind)
        self._record(kind)

    def _close(self, kind: Refused) -> None:
        self._open.discard(kind)
        if count := self._counted.pop(kind, 0):
            self._record(replace(kind, count=count))
