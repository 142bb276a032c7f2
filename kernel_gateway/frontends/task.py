"""A tool call that may outlast its request: what it does, what it asks for, what came of it. In memory only."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count
from typing import Any

from mcp.server.context import HandlerResult
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, CallToolResult, ElicitRequest, ElicitResult, InputRequiredResult

from kernel_gateway.crash import crashed

Owner = tuple[str, ...]


class Status(StrEnum):
    """The five of the specification."""

    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Task:
    """Begins its work at once. Only a task that `announced_at` (seconds since the epoch) is set for has been told of.

    `waiting` counts the requests that wait for it; `size_bytes` is what it may hold until it is done, and then holds.
    """

    def __init__(
        self,
        id_: str,
        owner: Owner,
        work: Callable[[], Awaitable[HandlerResult]],
        *,
        size_bytes: int,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self.id, self.owner, self.size_bytes = id_, owner, size_bytes
        self.announced_at: float | None = None
        self.updated_at = clock()
        self.waiting = 0
        self.asks = asyncio.Event()
        self._clock, self._new_id = clock, new_id
        self._questions: dict[str, tuple[ElicitRequest, asyncio.Future[ElicitResult]]] = {}
        self._keys = count(1)
        self._end: tuple[Status, dict[str, Any]] | None = None
        self.job = asyncio.ensure_future(self._run(work))
        self.job.add_done_callback(self._finished)

    def __repr__(self) -> str:
        return f"<Task {self.id} of {self.owner}: {self.status}>"

    @property
    def status(self) -> Status:
        if self._end is not None:
            return self._end[0]
        return Status.INPUT_REQUIRED if self._questions else Status.WORKING

    async def ask(self, request: ElicitRequest) -> ElicitResult:
        """The client's answer. For the tool itself, which bounds its wait: a client need not answer, or look."""
        key = f"question-{next(self._keys)}"
        answer: asyncio.Future[ElicitResult] = asyncio.get_running_loop().create_future()
        self._questions[key] = (request, answer)
        self.updated_at = self._clock()
        self.asks.set()
        try:
            return await answer
        finally:
            self._questions.pop(key, None)
            self.updated_at = self._clock()

    def answer(self, responses: Mapping[str, Any]) -> None:
        """What is not asked, or not any more, is ignored. Raises pydantic.ValidationError, and takes nothing then."""
        asked = {key: value for key, value in responses.items() if key in self._questions}
        for key, said in {key: ElicitResult.model_validate(value) for key, value in asked.items()}.items():
            self._questions.pop(key)[1].set_result(said)

    def cancel(self) -> None:
        self.job.cancel()

    def said(self, kept_seconds: float, poll_seconds: float) -> dict[str, Any]:
        """Without what only `tasks/get` tells. Its time to live is from its creation, and grows until it is done."""
        assert self.announced_at is not None
        until = (self.updated_at if self._end is not None else self._clock()) + kept_seconds
        return {
            "taskId": self.id,
            "status": self.status,
            "createdAt": _moment(self.announced_at),
            "lastUpdatedAt": _moment(self.updated_at),
            "ttlMs": round(1000 * (until - self.announced_at)),
            "pollIntervalMs": round(1000 * poll_seconds),
        }

    def detail(self) -> dict[str, Any]:
        if self._end is not None:
            return self._end[1]
        asked = {key: request.model_dump(**_WIRE) for key, (request, _) in self._questions.items()}
        return {"inputRequests": asked} if asked else {}

    async def _run(self, work: Callable[[], Awaitable[HandlerResult]]) -> HandlerResult:
        _current.set(self)  # a job has a context of its own
        return await work()

    def _finished(self, job: "asyncio.Task[HandlerResult]") -> None:
        self._end = self._ended(job)
        self.updated_at = self._clock()
        self.size_bytes = len(json.dumps(self._end[1]))

    def _ended(self, job: "asyncio.Task[HandlerResult]") -> tuple[Status, dict[str, Any]]:
        if job.cancelled():
            return Status.CANCELLED, {}
        error = job.exception()
        if isinstance(error, MCPError):
            return Status.FAILED, {"statusMessage": error.error.message, "error": error.error.model_dump(**_WIRE)}
        if error is None:
            result = job.result()
            if isinstance(result, CallToolResult):
                return Status.COMPLETED, {"result": result.model_dump(**_WIRE)}
            if isinstance(result, InputRequiredResult):  # within the grace: the client answers by calling again
                return Status.CANCELLED, {}
            error = TypeError(f"a task ends with a tool's result, not with {type(result).__name__}")
        message = crashed(error, "a task", self._new_id).message
        return Status.FAILED, {"statusMessage": message, "error": {"code": INTERNAL_ERROR, "message": message}}


_current: ContextVar[Task | None] = ContextVar("current_task", default=None)
_WIRE: dict[str, Any] = {"by_alias": True, "mode": "json", "exclude_none": True}


def current_task() -> Task | None:
    """The task that the running tool call may become, or is; None where it is served within its request alone."""
    return _current.get()


def _moment(seconds: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
