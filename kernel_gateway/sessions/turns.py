"""Cells that run, and the answers of those that named a `request_id`: a retry joins, and never runs again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kernel_gateway.errors import GatewayError
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
    state: State = State.RUNNING
    attached: int = 0
    finished_at: float = 0.0
    kept_bytes: int = 0

    def tell(self, event: Event) -> None:
        self.state, action = step(self.state, event)
        if action is Action.INTERRUPT and not self.stop.done():
            self.stop.set_result(None)


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

    def begin(self, key: Key | None, digest: bytes, run: Callable[[Stop], Awaitable[ExecuteResult]]) -> Turn:
        """Starts `run`, which goes on whatever becomes of the request that began it."""
        turn = Turn(key, digest, asyncio.get_running_loop().create_future())
        turn.task = asyncio.ensure_future(run(turn.stop))
        turn.task.add_done_callback(lambda _: self._finished(turn))
        self._running.add(turn)
        if key is not None:
            self._named[key] = turn
        return turn

    async def wait(self, turn: Turn, *, detach_on_cancel: bool, on_progress: Progress | None) -> ExecuteResult:
        """The turn's answer. Once the last who waits is cancelled the cell stops; with `detach_on_cancel` goes on."""
        turn.tell(Event.ATTACH)
        turn.attached += 1
        try:
            return await _with_progress(turn.task, on_progress)
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
        mine = [turn for key, turn in self._named.items() if key[0] == caller]
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

    def _finished(self, turn: Turn) -> None:
        turn.tell(Event.FINISH)
        turn.finished_at = self._clock()
        self._running.discard(turn)
        error = None if turn.task.cancelled() else turn.task.exception()
        if turn.task.cancelled() or not isinstance(error, NoAnswerError | None):
            if turn.key is not None:
                self._named.pop(turn.key, None)  # no cell ran: the same request may be tried again
        elif error is None:
            turn.kept_bytes = turn.task.result().size_bytes


async def _with_progress(task: "asyncio.Task[ExecuteResult]", on_progress: Progress | None) -> ExecuteResult:
    elapsed, wait = 0.0, FIRST_PROGRESS_SECONDS
    while on_progress is not None and not (await asyncio.wait({task}, timeout=wait))[0]:
        elapsed, wait = elapsed + wait, PROGRESS_SECONDS
        await on_progress(elapsed)
    return await asyncio.shield(task)
