"""Marks the way of a cell through the gateway: what happened when, on the clock that all processes here share.

On Linux `time.perf_counter` is CLOCK_MONOTONIC, the same for every process of the machine. The kernel's own times are
the dates in the headers of its messages.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

from kernel_gateway.frontends.asgi import AsgiHandler
from kernel_gateway.frontends.code_mode import CodeMode
from kernel_gateway.frontends.handler import Handler
from kernel_gateway.gateway import Gateway
from kernel_gateway.kernels.connection import Connection
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.store.database import Database

TOOL_IN, TOOL_OUT = "tool: called", "tool: result built"
IN_THE_KERNEL = "in the kernel: "
KERNEL_IN, KERNEL_OUT = "connection: execute_request sent", "connection: idle parsed"

_MARKED = (
    (Handler, "prepare", "http: request read", "http: caller verified"),
    (AsgiHandler, "serve", "http: handed to the MCP SDK", "http: response complete"),
    (CodeMode, "call_tool", TOOL_IN, TOOL_OUT),
    (Gateway, "execute", "gateway: execute entered", "gateway: execute left"),
    (Kernel, "run", "kernel: run entered", "kernel: run over"),
    (Connection, "_reply", KERNEL_IN, "connection: reply parsed"),
    (Connection, "_gather", "connection: listens to iopub", KERNEL_OUT),
    (Database, "run", "journal: transaction asked for", "journal: committed"),
)


class Marks:
    def __init__(self) -> None:
        self._marks: list[tuple[str, float]] = []

    def install(self) -> None:
        """Wraps methods of the running product. Once."""
        for owner, name, entered, left in _MARKED:
            setattr(owner, name, self._timed(getattr(owner, name), entered, left))
        epoch = time.time() - time.perf_counter()
        Connection._parse = self._dated(Connection._parse, epoch)  # type: ignore[method-assign]

    def take(self) -> list[tuple[str, float]]:
        """Those since the last time."""
        taken, self._marks = self._marks, []
        return taken

    def _timed(self, method: Callable[..., Any], entered: str, left: str) -> Callable[..., Any]:
        @functools.wraps(method)
        async def timed(*args: Any, **kwargs: Any) -> Any:
            self._marks.append((entered, time.perf_counter()))
            try:
                return await method(*args, **kwargs)
            finally:
                self._marks.append((left, time.perf_counter()))

        return timed

    def _dated(self, parse: Callable[..., Any], epoch: float) -> Callable[..., Any]:
        @functools.wraps(parse)
        def dated(*args: Any) -> Any:
            message = parse(*args)
            if message is not None:
                state = message["content"].get("execution_state", message["msg_type"])
                self._marks.append((IN_THE_KERNEL + state, message["header"]["date"].timestamp() - epoch))
            return message

        return dated
