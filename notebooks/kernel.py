"""A session as nbclient sees a kernel: a manager, and a client that is told what a cell showed once it has ended."""

import asyncio
import base64
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from kernel_gateway.sessions.result import ExecuteResult

Run = Callable[[str], Awaitable[ExecuteResult]]


class Channel:
    """Messages in their order."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def put(self, kind: str, parent: str, content: dict[str, Any]) -> None:
        message = {"msg_type": kind, "header": {"msg_type": kind}, "parent_header": {"msg_id": parent}}
        self._messages.put_nowait({**message, "content": content, "metadata": {}})

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:
        return await asyncio.wait_for(self._messages.get(), timeout)


class SessionClient:
    """The part of jupyter_client's AsyncKernelClient that runs cells."""

    def __init__(self, run: Run) -> None:
        self.shell_channel, self.iopub_channel = Channel(), Channel()
        self._run, self._numbers = run, itertools.count(1)
        self._running: asyncio.Task[None] | None = None

    async def execute(self, code: str, **_: Any) -> str:
        id_ = f"replay_{next(self._numbers)}"
        self._running = asyncio.create_task(self._execute(code, id_))
        return id_

    async def is_alive(self) -> bool:
        return self._running is None or not self._running.done() or self._running.exception() is None

    async def _execute(self, code: str, id_: str) -> None:
        result = await self._run(code)
        for kind, content in shown(result):
            self.iopub_channel.put(kind, id_, content)
        self.iopub_channel.put("status", id_, {"execution_state": "idle"})
        status = "ok" if result.status == "ok" else "error"
        ename = result.error.ename if result.error else result.status
        self.shell_channel.put("execute_reply", id_, {"status": status, "ename": ename, "evalue": "", "traceback": []})


class SessionKernelManager:
    """Of a kernel that is there: whoever opened its session ends it."""

    has_kernel = True

    def __init__(self, run: Run) -> None:
        self._run = run

    def client(self) -> SessionClient:
        return SessionClient(self._run)


def shown(result: ExecuteResult) -> list[tuple[str, dict[str, Any]]]:
    """What a cell showed, as the messages that show it."""
    texts = [(name, text) for name, text in (("stdout", result.stdout), ("stderr", result.stderr)) if text]
    messages: list[tuple[str, dict[str, Any]]] = [("stream", {"name": name, "text": text}) for name, text in texts]
    for image in result.images:
        data = {image.mime: base64.b64encode(image.data).decode()}
        messages.append(("display_data", {"data": data, "metadata": {}}))
    if result.result:
        data = {"text/plain": result.result}
        messages.append(("execute_result", {"data": data, "metadata": {}, "execution_count": result.execution_count}))
    if result.error:
        error = result.error
        traceback = error.traceback.split("\n")
        messages.append(("error", {"ename": error.ename, "evalue": error.evalue, "traceback": traceback}))
    return messages
