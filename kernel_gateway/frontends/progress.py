"""What a client hears of a running cell, and what its going away means."""

from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.mcpserver import Context
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from kernel_gateway.frontends.task import current_task


def reporter(context: Context[Any, Any]) -> Callable[[float], Awaitable[None]]:
    """Tells the client how long its cell has been running; nothing is sent where it did not ask to be told."""

    async def report(seconds: float) -> None:
        await context.report_progress(round(seconds, 1), None, f"the cell has been running for {seconds:.0f} s")

    return report


def may_come_back(context: Context[Any, Any], request_id: str) -> bool:
    """The facts for `survives_disconnect`: only an HTTP transport attaches a request to its messages.

    A call that can become a task runs apart from its request: what reaches it is a cancel that was meant.
    """
    request = context.request_context
    return current_task() is None and survives_disconnect(
        request.protocol_version, request.request is not None, request_id
    )


def survives_disconnect(protocol_version: str, over_http: bool, request_id: str) -> bool:
    """Whether a cancelled call may only mean a lost connection, so that the cell should run on to be joined again.

    Over HTTP since revision 2026-07-28, closing the stream is both the only way to cancel and what a broken
    connection looks like (basic/transports, "Cancellation"); a caller that sent a `request_id` said that it wants
    to come back. Before that revision, and on stdio in every revision, a cancellation is a message of its own and
    a lost HTTP connection cancels nothing.
    """
    return over_http and protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS and request_id != ""
