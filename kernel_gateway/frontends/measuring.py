"""Tells whoever counts of each MCP message: its method, its tool, how it ended, how long it took."""

import time
from collections.abc import Callable
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, CallToolResult
from pydantic import ValidationError

Answered = Callable[[str, str, str, str, float], None]
"""(method, tool, error_type, code, seconds), as audit.metrics.Metrics.answered."""


class Measured(ServerMiddleware[Any]):
    """`clock` is in seconds and never goes back."""

    def __init__(self, answered: Answered, clock: Callable[[], float] = time.monotonic) -> None:
        self._answered, self._clock = answered, clock

    async def __call__(self, context: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        began, error_type, code = self._clock(), "", ""
        try:
            result = await call_next(context)
            error_type, code = _error_of(result)
            return result
        except MCPError as error:
            error_type = code = str(error.error.code)
            raise
        except ValidationError:
            error_type = code = str(INVALID_PARAMS)
            raise
        except Exception:
            error_type = code = str(INTERNAL_ERROR)
            raise
        finally:
            tool = (context.params or {}).get("name") if context.method == "tools/call" else ""
            seconds = self._clock() - began
            self._answered(context.method, tool if isinstance(tool, str) else "", error_type, code, seconds)


def _error_of(result: HandlerResult) -> tuple[str, str]:
    """The convention's word for it, and the tool's own code."""
    failed: Any
    structured: Any
    if isinstance(result, CallToolResult):
        failed, structured = result.is_error, result.structured_content
    elif isinstance(result, dict):
        failed, structured = result.get("isError"), result.get("structuredContent")
    else:
        return "", ""
    code = str(structured.get("code", "")) if isinstance(structured, dict) else ""
    return ("tool_error", code or "internal") if failed else ("", "")
