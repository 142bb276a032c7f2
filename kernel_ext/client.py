"""The typed client's plain functions: search_tools, call_tool, call_tools, acall_tool."""

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from kernel_ext.blobs import revive
from kernel_ext.channel import attached
from kernel_ext.errors import ToolError
from kernel_ext.wire import Kind, Message


@dataclass(frozen=True)
class Tool:
    """A search hit: call it with `call_tool(tool.name, {...})`."""

    name: str
    description: str
    input_schema: dict[str, Any]


@dataclass(frozen=True)
class CallToolResult:
    """One outcome of `call_tools`: `result` when `success`, else `error`."""

    success: bool
    result: Any = None
    error: ToolError | None = None


def search_tools(query: str, limit: int = 5, threshold: float = 0.0) -> list[Tool]:
    """The operations that fit `query` best, best first; `threshold` (0..1) drops weaker ones. Raises ToolError."""
    __tracebackhide__ = True
    if not isinstance(query, str):
        raise ToolError("invalid", 'the query is text: `search_tools("resize an image", limit=5)`')
    head = {"query": query, "limit": limit, "threshold": threshold}
    hits = attached().request(Kind.SEARCH, head).head["value"]
    return [Tool(hit["name"], hit["description"], hit["input_schema"]) for hit in hits]


def call_tool(name: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """Calls one operation by its id, such as "image_ops:jobs_get". Raises ToolError."""
    __tracebackhide__ = True
    return revive(attached().request(Kind.CALL, _head(name, arguments)).head["value"])


async def acall_tool(name: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """`call_tool` for `await`. Raises ToolError."""
    __tracebackhide__ = True
    future = attached().submit(Kind.CALL, _head(name, arguments))
    waiting = asyncio.wrap_future(future)
    try:
        await asyncio.wait([waiting])
    finally:
        waiting.cancel()  # of a task that was cancelled: nobody waits for the answer any more
    if (error := waiting.exception()) is not None:
        raise error.with_traceback(None) from None
    return revive(future.result().head["value"])


def call_tools(calls: Iterable[tuple[str, Mapping[str, Any]]]) -> list[CallToolResult]:
    """Calls several operations at once. Results come in the order of `calls`; a failure leaves the others alone."""
    __tracebackhide__ = True
    channel = attached()
    heads = [_head(*pair) for pair in _pairs(calls)]  # all of them, before anything is sent
    return [_outcome(each) for each in [channel.submit(Kind.CALL, head) for head in heads]]


def _pairs(calls: Any) -> list[Any]:
    pairs = list(calls) if isinstance(calls, Iterable) else [calls]
    if all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        return pairs
    raise ToolError("invalid", 'calls are a list of pairs: `call_tools([("server:operation", {"name": value}), ...])`')


def _head(name: Any, arguments: Any) -> dict[str, Any]:
    if not isinstance(name, str) or not isinstance(arguments, Mapping | None):
        raise ToolError("invalid", 'a call is a name and a dict: `call_tool("server:operation", {"name": value})`')
    return {"operation": name, "arguments": dict(arguments or {})}


def _outcome(future: "Future[Message]") -> CallToolResult:
    try:
        return CallToolResult(True, revive(future.result().head["value"]))
    except ToolError as error:
        return CallToolResult(False, error=error)
