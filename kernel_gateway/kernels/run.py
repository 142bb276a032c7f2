"""One cell under way, as its kernel tells it. A kernel's messages are claims: cell code can forge any of them.

What is decided here (timing, counts, which messages belong to the cell) uses the gateway's own clock and ids, and every
message is charged by its raw size, whoever it claims to answer, before any of it is parsed.
"""

import asyncio
from collections.abc import Sequence

from kernel_gateway.kernels.messages import Signer, read
from kernel_gateway.kernels.outputs import SHOWN_KINDS, Outputs
from kernel_gateway.kernels.settings import KernelSettings

MAX_REPLIES = 100
"""Messages on the shell connection that are looked at while a cell runs: an honest kernel sends one."""
MAX_STATUSES = 1_000
"""Messages beyond the caps that are looked at because they could say that the cell is idle."""
MAX_PAGES = 8
"""Pages of one reply: IPython sends one for each `name?`."""

_SMALL_BYTES = 4096  # a status message is about 600 bytes: these are read even when output is being dropped


class Pace:
    """Counts events per second of the given clock."""

    def __init__(self, per_second: int) -> None:
        self._per_second, self._second, self._count = per_second, 0, 0

    def allows(self, now: float) -> bool:
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        return self._count <= self._per_second


class Run:
    """`began` resolves when the kernel has begun the cell, `ended` with "ok" or "error" after its reply and its idle.

    A reply whose idle does not come ends it too, after a grace: that message may have been lost.
    """

    def __init__(self, id_: str, signer: Signer, outputs: Outputs, settings: KernelSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self.began: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self._id, self._signer, self._outputs, self._settings = id_, signer, outputs, settings
        self._pace = Pace(settings.max_messages_per_second)  # of its own: no earlier cell's messages count
        self._room, self._count = settings.max_output_bytes, settings.max_output_messages
        self._replies, self._statuses = MAX_REPLIES, MAX_STATUSES
        self._status = ""
        self._idle = False
        self._grace: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Run {self._id} {self._status or 'running'}{', idle' if self._idle else ''}>"

    def on_iopub(self, parts: Sequence[bytes], now: float) -> None:
        """An output or a change of state."""
        if self._idle:
            return
        outputs = self._outputs
        self._room, self._count = self._room - sum(map(len, parts)), self._count - 1
        over = self._room < 0 or self._count < 0 or not self._pace.allows(now)
        answer = None if over and not self._is_looked_at(parts) else self._signer.answer(parts, self._id)
        if answer is None:
            outputs.dropped_messages += over
        elif answer.kind == "execute_input":
            if not self.began.done():
                self.began.set_result(None)
        elif answer.kind == "status":
            self._idle = (read(answer.content) or {}).get("execution_state") == "idle"
            self._end_if_over()
        elif over:
            outputs.dropped_messages += 1
        elif answer.kind in SHOWN_KINDS and (content := read(answer.content)) is not None:
            outputs.take(answer.kind, content)

    def on_shell(self, parts: Sequence[bytes]) -> None:
        """The reply. `aborted` cannot be true of the only cell that was sent."""
        self._replies -= 1
        if self._status or self._replies < 0 or sum(map(len, parts)) > self._settings.max_reply_bytes:
            return
        answer = self._signer.answer(parts, self._id)
        if answer is None or answer.kind != "execute_reply":
            return
        content = read(answer.content) or {}
        payload = content.get("payload")
        for page in payload[:MAX_PAGES] if isinstance(payload, list) else ():  # what `name?` answers
            if isinstance(page, dict) and page.get("source") == "page":
                self._outputs.take("display_data", page)
        self._status = "ok" if content.get("status") == "ok" else "error"
        self._grace = self._loop.call_later(self._settings.idle_grace_seconds, self._end_without_idle)
        self._end_if_over()

    def _is_looked_at(self, parts: Sequence[bytes]) -> bool:
        """Of what is over the caps: what may end the cell, for as long as there is not too much of that either."""
        if not self._statuses or not _may_be_status(parts):
            return False
        self._statuses -= 1
        return True

    def close(self) -> None:
        """Nothing more is taken."""
        self._idle, self._status = True, self._status or "error"
        if self._grace is not None:
            self._grace.cancel()
        self.began.cancel()
        self.ended.cancel()

    def _end_if_over(self) -> None:
        if self._idle and self._status and not self.ended.done():
            self.ended.set_result(self._status)

    def _end_without_idle(self) -> None:
        self._outputs.truncated |= not self._idle
        self._idle = True
        self._end_if_over()


def _may_be_status(parts: Sequence[bytes]) -> bool:
    """Cheap and inexact: what is over the caps is parsed only where it could say that the cell is idle."""
    return sum(map(len, parts)) <= _SMALL_BYTES and any(b'"idle"' in part for part in parts)
