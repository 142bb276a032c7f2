"""The tasks extension for the SDK's own client. It takes a task for an answer, and polls until it is done."""

import asyncio
from typing import Any, Literal

from mcp.client.extension import ClientExtension, ResultClaim
from mcp.types import CallToolResult, Request, RequestParams, Result
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

IDENTIFIER = "io.modelcontextprotocol/tasks"


class TaskHandle(Result):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    poll_interval_ms: int


class OfTask(RequestParams):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    task_id: str


class TaskRequest(Request[OfTask, str]):
    name_param = "taskId"


class Said(Result):
    """Whatever a method of the extension returns, as it stands in the message."""

    model_config = ConfigDict(extra="allow")


async def of_task(session: Any, method: str, task_id: str, **more: Any) -> dict[str, Any]:
    """`tasks/<method>` of one task."""
    request = TaskRequest(method=f"tasks/{method}", params=OfTask(task_id=task_id, **more))
    return (await session.send_request(request, Said)).model_dump()


class Polling(ClientExtension):
    """`polled` are the tasks that were seen, as they were said by each poll; `said` is the answer to every question."""

    identifier = IDENTIFIER

    def __init__(self, said: dict[str, Any] | None = None) -> None:
        self.said = said
        self.handles: list[TaskHandle] = []
        self.polled: list[dict[str, Any]] = []

    def claims(self) -> list[ResultClaim[TaskHandle]]:
        return [ResultClaim(result_type="task", model=TaskHandle, resolve=self._resolve)]

    async def _resolve(self, handle: TaskHandle, context: Any) -> CallToolResult:
        self.handles.append(handle)
        while True:
            said = await of_task(context.session, "get", handle.task_id)
            self.polled.append(said)
            if said["status"] not in ("working", "input_required"):
                return CallToolResult.model_validate(said["result"])
            if self.said is not None and said["status"] == "input_required":
                answers = dict.fromkeys(said["inputRequests"], self.said)
                await of_task(context.session, "update", handle.task_id, inputResponses=answers)
            await asyncio.sleep(handle.poll_interval_ms / 1000)
