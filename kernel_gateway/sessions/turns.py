"""Cells that run, and the answers of those that named a `request_id`: a retry joins, and never runs again."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from kernel_gateway.approvals.pending import Pending
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.deadline import Deadline
from kernel_gateway.sessions.result import ExecuteResult
from kernel_gateway.sessions.turn import Action, Event, State, step

Key = tuple[object, ...]
Stop = asyncio.Future[None]
Progress = Callable[[float], Awaitable[None]]

FIRST_PROGRESS_SECONDS = 0.5
PROGRESS_SECONDS = 1.0


class NoAnswerError(GatewayError):
    """The cell ran and its answer cannot be given. Kept as an answer is, or the same request would run it again."""


@dataclass(slots=True, eq=False)
class Turn:
    """One cell from its request to its kept answer. `stop`, once set, interrupts it, also while it still waits."""

    key: Key | None
    digest: bytes
    stop: Stop
    task: "asyncio.Task[ExecuteResult]" = field(init=False)
    owner: tuple[str, ...] = ()
    deadline: Deadline | None = None
    state: State = State.RUNNING
    attached: int = 0
    finished_at: float = 0.0
    kept_bytes: int = 0
    paused_by: dict[str, Pending] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)  # ids of every approval that this cell ever waited for
    _news: "asyncio.Future[None]" = field(init=False)

    def __post_init__(self) -> None:
        self._news = asyncio.get_running_loop().create_future()

    @property
    def paused_seconds(self) -> float:
        return self.deadline.stopped_seconds if self.deadline is not None else 0.0

    @property
    def seconds(self) -> float:
        """How long its cell has run, and paused: other threads of it go on meanwhile."""
        return self.paused_seconds + (self.deadline.ran_seconds if self.deadline is not None else 0.0)

    def tell(self, event: Event) -> None:
        self.state, action = step(self.state, event)
        if action is Action.INTERRUPT and not self.stop.done():
            self.stop.set_result(None)
        elif action is Action.STOP_CLOCK and self.deadline is not None:
            self.deadline.stop()
        elif action is Action.START_CLOCK and self.deadline is not None:
            self.deadline.start()

    def pause(self, pending: Pending) -> None:
        """A call of the cell waits; several may at once."""
        self.paused_by[pending.id] = pending
        self.asked.add(pending.id)
        if len(self.paused_by) == 1:
            self.tell(Event.PAUSE)
        self._tell_news()

    def resume(self, pending: Pending) -> None:
        del self.paused_by[pending.id]
        if not self.paused_by:
            self.tell(Event.RESUME)
        self._tell_news()

    async def news(self, timeout: float | None) -> bool:
        """Until it is done or its pauses changed; False where nothing came within `timeout` seconds."""
        either: set[asyncio.Future[Any]] = {self.task, self._news}
        return bool((await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED))[0])

    def _tell_news(self) -> None:
        self._news.set_result(None)
        self._news = asyncio.get_running_loop().create_future()


class Turns:
    """In memory only. Finished answers are bounded in time, and per caller (a key's first part) in number and bytes."""

    def __init__(self, ttl_seconds: float, max_answers: int, max_bytes: int, clock: Callable[[], float]) -> None:
        self._ttl_seconds, self._max_answers, self._max_bytes, self._clock = ttl_seconds, max_answers, max_bytes, clock
        self._named: dict[Key, Turn] = {}
        self._running: set[Turn] = set()

    def __repr__(self) -> str:
        return f"<Turns {len(self._running)} running, {len(self._named)} named>"

    def find(self, key: Key, digest: bytes) -> Turn | None:
        """The turn of an earlier request with this key. Raises GatewayError("conflict") where its code was another."""
        self.forget_expired()
        turn = self._named.get(key)
        if turn is not None and turn.digest != digest:
            raise GatewayError("conflict", "this `request_id` was used with other code; take a new id for a new cell")
        if turn is None:
            self._refuse_surplus(key[0])
        return turn

    def rejoin(self, key: Key, digest: bytes) -> Turn | None:
        """The turn that was named so when it paused, for a request without an id; its answer is given once."""
        turn = self._named.get(key)
        if turn is None or turn.digest != digest:
            return None
        if turn.state is State.DONE:
            del self._named[key]
        return turn

    def name(self, turn: Turn, key: Key) -> None:
        """Another name for a turn, under which it can be found too."""
        self._named.setdefault(key, turn)

    def asked_for(self, approval_id: str, owner: tuple[str, ...]) -> Turn | None:
        """This owner's turn that waits, or waited, for an approval."""
        turns = (*self._running, *self._named.values())
        return next((turn for turn in turns if approval_id in turn.asked and turn.owner == owner), None)

    def begin(self, key: Key | None, digest: bytes, run: Callable[[Stop], Awaitable[ExecuteResult]]) -> Turn:
        """Starts `run`, which goes on whatever becomes of the request that began it."""
        turn = Turn(key, digest, asyncio.get_running_loop().create_future())
        turn.task = asyncio.ensure_future(run(turn.stop))
        turn.task.add_done_callback(lambda _: self._finished(turn))
        self._running.add(turn)
        if key is not None:
            self._named[key] = turn
        return turn

    async def wait(
        self, turn: Turn, *, detach_on_cancel: bool, on_progress: Progress | None, patience_seconds: float = 0.0
    ) -> ExecuteResult | Pending:
        """The turn's answer, or what it is paused by: a pause that is known already is told after `patience_seconds`.

        Once the last who waits is cancelled the cell stops; with `detach_on_cancel` it goes on.
        """
        turn.tell(Event.ATTACH)
        turn.attached += 1
        try:
            pending = await _pause_or_end(turn, on_progress, patience_seconds)
            if pending is None:
                return await asyncio.shield(turn.task)
            if turn.attached == 1:
                turn.tell(Event.DETACH)
            return pending
        except asyncio.CancelledError:
            if turn.attached == 1 and not turn.task.done():
                turn.tell(Event.DETACH if detach_on_cancel else Event.CANCEL)
            raise
        finally:
            turn.attached -= 1

    def forget_expired(self) -> None:
        oldest = self._clock() - self._ttl_seconds
        for key, turn in list(self._named.items()):
            if turn.state is State.DONE and turn.finished_at < oldest:
                del self._named[key]

    def _refuse_surplus(self, caller: object) -> None:
        """A promised answer is kept for its time: at the cap a new name is refused, and none is dropped."""
        mine = {turn for key, turn in self._named.items() if key[0] == caller}
        if len(mine) >= self._max_answers or sum(turn.kept_bytes for turn in mine) >= self._max_bytes:
            first = min((turn.finished_at for turn in mine if turn.state is State.DONE), default=self._clock())
            wait = max(1.0, round(first + self._ttl_seconds - self._clock()))
            raise GatewayError(
                "limited", "too many answers are kept for your `request_id`s; leave it out", retry_after=wait
            )

    async def close(self) -> None:
        for turn in self._running:
            turn.task.cancel()
        await asyncio.gather(*(turn.task for turn in self._running), return_exceptions=True)
        self._named.clear()

    def _forget(self, turn: Turn) -> None:
        for key in [key for key, named in self._named.items() if named is turn]:
            del self._named[key]

    def _finished(self, turn: Turn) -> None:
        turn.tell(Event.FINISH)
        turn.finished_at = self._clock()
        self._running.discard(turn)
        error = None if turn.task.cancelled() else turn.task.exception()
        if turn.task.cancelled() or not isinstance(error, NoAnswerError | None):
            self._forget(turn)  # no cell ran: the same request may be tried again
        elif error is None:
            turn.kept_bytes = turn.task.result().size_bytes
            if turn.task.result().status == "approval_required":
                self._forget(turn)  # no cell ran: the same request may come again with the approval


async def _pause_or_end(turn: Turn, on_progress: Progress | None, patience: float) -> Pending | None:
    """What paused the cell meanwhile, or None when it is done."""
    known, now = set(turn.paused_by), asyncio.get_running_loop().time
    began = now()
    told, interval = 0.0, FIRST_PROGRESS_SECONDS
    while not turn.task.done():
        waited = now() - began
        fresh = [each for id_, each in turn.paused_by.items() if id_ not in known or waited >= patience]
        if fresh:
            return fresh[0]
        limit = patience - waited if turn.paused_by else None
        if on_progress is not None:
            limit = min(told + interval - waited, math.inf if limit is None else limit)
        if not await turn.news(limit) and on_progress is not None and now() - began >= told + interval:
            told, interval = told + interval, PROGRESS_SECONDS
            await on_progress(told)
    return None
