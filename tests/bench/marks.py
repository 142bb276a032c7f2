"""Marks the way of a cell through the gateway: what happened when, on the clock that all processes here share.

On Linux `time.perf_counter` is CLOCK_MONOTONIC, the same for every process of the machine. The kernel's own times are
the dates in the headers of its messages.
"""

import functools
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from kernel_gateway.frontends.asgi import AsgiHandler
from kernel_gateway.frontends.code_mode import CodeMode
from kernel_gateway.frontends.handler import Handler
from kernel_gateway.gateway import Gateway
from kernel_gateway.kernels.connection import Connection
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.messages import DELIMITER, Signer
from kernel_gateway.store.database import Database

TOOL_IN, TOOL_OUT = "tool: called", "tool: result built"
IN_THE_KERNEL = "in the kernel: "
KERNEL_IN, KERNEL_OUT = "connection: execute_request sent", "connection: reply and idle parsed"

_MARKED = (
    (Handler, "prepare", "http: request read", "http: caller verified"),
    (AsgiHandler, "serve", "http: handed to the MCP SDK", "http: response complete"),
    (CodeMode, "call_tool", TOOL_IN, TOOL_OUT),
    (Gateway, "execute", "gateway: execute entered", "gateway: execute left"),
    (Kernel, "run", "kernel: run entered", "kernel: run over"),
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
        Connection.execute = self._begun(Connection.execute)  # type: ignore[method-assign]
        Signer.answer = self._dated(Signer.answer, epoch)  # type: ignore[method-assign]

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

    def _begun(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(execute)
        def begun(*args: Any) -> Any:
            self._marks.append((KERNEL_IN, time.perf_counter()))
            run = execute(*args)
            run.ended.add_done_callback(lambda _: self._marks.append((KERNEL_OUT, time.perf_counter())))
            return run

        return begun

    def _dated(self, answer: Callable[..., Any], epoch: float) -> Callable[..., Any]:
        @functools.wraps(answer)
        def dated(signer: Signer, parts: list[bytes], id_: str) -> Any:
            found = answer(signer, parts, id_)
            if found is not None:
                header, content = json.loads(parts[parts.index(DELIMITER) + 2]), json.loads(found.content)
                date = datetime.fromisoformat(header["date"]).timestamp()
                self._marks.append((IN_THE_KERNEL + content.get("execution_state", found.kind), date - epoch))
            return found

        return dated
