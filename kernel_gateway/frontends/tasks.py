"""The MCP extension `io.modelcontextprotocol/tasks` (SEP-2663): a call that takes long goes on without its connection.

The client says in each request that it can poll. Its call is answered within a grace as any other is; one that outlasts
the grace is answered with a task, and its result waits there, for the same owner alone.
"""

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import HEADER_MISMATCH, INVALID_PARAMS, CallToolRequestParams, RequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from kernel_gateway.frontends.mcp_settings import McpSettings
from kernel_gateway.frontends.progress import survives_disconnect
from kernel_gateway.frontends.task import Owner, Task
from kernel_gateway.sessions.settings import SessionSettings

Context = ServerRequestContext[Any, Any]


class TaskParams(RequestParams):
    task_id: str


class UpdateParams(TaskParams):
    input_responses: dict[str, Any]


def _random_id() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """`max_tasks` and `max_bytes` are one owner's, `max_result_bytes` one task's. With no room a call stays a call."""

    grace_seconds: float
    poll_seconds: float
    kept_seconds: float
    max_tasks: int
    max_bytes: int
    max_result_bytes: int

    @classmethod
    def of(cls, mcp: McpSettings, answers: SessionSettings) -> "TaskLimits":
        """A task's result is an answer, and is kept as one."""
        return cls(
            mcp.task_grace_seconds,
            mcp.task_poll_seconds,
            answers.answer_ttl_seconds,
            answers.max_answers,
            answers.max_answer_bytes,
            mcp.max_event_bytes,
        )


class Tasks(Extension):
    """`owner` names who asks, in the context of each request."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(
        self,
        owner: Callable[[], Owner],
        limits: TaskLimits,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = _random_id,
    ) -> None:
        self._owner, self._limits, self._clock, self._new_id = owner, limits, clock, new_id
        self._tasks: dict[str, Task] = {}
        self._named: dict[tuple[Owner, str], Task] = {}

    def __repr__(self) -> str:
        return f"<Tasks {len(self._tasks)} of {len({task.owner for task in self._tasks.values()})} owners>"

    def methods(self) -> list[MethodBinding]:
        modern = frozenset(MODERN_PROTOCOL_VERSIONS)
        return [
            MethodBinding("tasks/get", TaskParams, self._get, modern),
            MethodBinding("tasks/update", UpdateParams, self._update, modern),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, modern),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: Context, call_next: CallNext
    ) -> HandlerResult:
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS or not _is_declared(ctx):
            return await call_next(ctx)
        name = _name(params)
        task = self._begun(name, lambda: call_next(ctx))
        task.waiting += 1
        try:
            await self._answerable(task)
        except asyncio.CancelledError:
            comes_back = survives_disconnect(ctx.protocol_version, ctx.request is not None, name)
            if task.waiting == 1 and task.announced_at is None and not comes_back:
                task.cancel()
            raise
        finally:
            task.waiting -= 1
        if task.announced_at is None or (task.job.done() and not task.job.cancelled()):
            return task.job.result()
        return {"resultType": "task", **self._said(task)}

    def _begun(self, name: str, work: Callable[[], Awaitable[HandlerResult]]) -> Task:
        """The task of a call: where the same one still runs, that one's."""
        key = (self._owner(), name)
        if key in self._named:
            return self._named[key]
        size = self._limits.max_result_bytes
        task = Task(self._new_id(), key[0], work, size_bytes=size, clock=self._clock, new_id=self._new_id)
        if name:
            self._named[key] = task
            task.job.add_done_callback(lambda _: self._named.pop(key))
        return task

    async def _answerable(self, task: Task) -> None:
        """Until it is done, or was told of. Where there is no room for another task, until it is done."""
        asks = asyncio.ensure_future(task.asks.wait())
        either: set[asyncio.Future[Any]] = {task.job, asks}
        try:
            await asyncio.wait(either, timeout=self._limits.grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asks.cancel()
        if not task.job.done() and not self._is_announced(task):
            await asyncio.wait({task.job})

    def _is_announced(self, task: Task) -> bool:
        """Where it is not yet, and there is room, it is from now on."""
        if task.announced_at is None and self._has_room(task.owner):
            task.announced_at = self._clock()
            self._tasks[task.id] = task
            task.job.add_done_callback(lambda _: self._keep(task))
        return task.announced_at is not None

    def _has_room(self, owner: Owner) -> bool:
        sizes = [task.size_bytes for task in self._tasks.values() if task.owner == owner]
        limits = self._limits
        return len(sizes) < limits.max_tasks and sum(sizes) + limits.max_result_bytes <= limits.max_bytes

    def _keep(self, task: Task) -> None:
        asyncio.get_running_loop().call_later(self._limits.kept_seconds, self._tasks.pop, task.id, None)

    async def _get(self, ctx: Context, params: TaskParams) -> HandlerResult:
        task = self._found(ctx, params)
        return {**self._said(task), **task.detail()}

    async def _update(self, ctx: Context, params: UpdateParams) -> HandlerResult:
        try:
            self._found(ctx, params).answer(params.input_responses)
        except ValidationError:
            raise MCPError(INVALID_PARAMS, "an answer is not the result of an elicitation; send it again") from None
        return {}

    async def _cancel(self, ctx: Context, params: TaskParams) -> HandlerResult:
        self._found(ctx, params).cancel()
        return {}

    def _found(self, ctx: Context, params: TaskParams) -> Task:
        """Raises MCPError: the client cannot poll (-32021), the header names another (-32020), or not found."""
        require_client_extension(ctx, self.identifier)
        headers = getattr(ctx.request, "headers", None)  # none on stdio
        if headers is not None and decode_header_value(headers.get(MCP_NAME_HEADER)) != params.task_id:
            raise MCPError(HEADER_MISMATCH, "the Mcp-Name header and `taskId` differ; send the same in both")
        task = self._tasks.get(params.task_id)
        if task is None or task.owner != self._owner():
            raise MCPError(INVALID_PARAMS, "task not found: it is unknown or expired")
        return task

    def _said(self, task: Task) -> dict[str, Any]:
        return task.said(self._limits.kept_seconds, self._limits.poll_seconds)


def _is_declared(ctx: Context) -> bool:
    capabilities = ctx.session.client_capabilities
    return Tasks.identifier in ((capabilities.extensions if capabilities else None) or {})


def _name(params: CallToolRequestParams) -> str:
    """The same for a call that comes again, by its `request_id`; empty where it has none. An answer is another call."""
    arguments = params.arguments or {}
    if not arguments.get("request_id"):
        return ""
    said = json.dumps([params.name, arguments, params.request_state], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()
