"""The tools that the suite's scenarios about tasks ask for, on the product's extension and the product's bridge."""

import asyncio

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
)

from kernel_gateway.auth.current import current_principal
from kernel_gateway.frontends.task import current_task
from kernel_gateway.frontends.tasks import TaskLimits, Tasks

LIMITS = TaskLimits(
    grace_seconds=0.2,
    poll_seconds=0.1,
    kept_seconds=60,
    max_tasks=100,
    max_bytes=100_000_000,
    max_result_bytes=1_000_000,
)
ONLY_AS_TASKS = {"failing_job", "test_tool_with_task"}


class FixtureTasks(Tasks):
    """Some of its tools are for clients that can poll and nobody else, which none of the product's is."""

    async def intercept_tool_call(self, params, ctx, call_next):
        if params.name in ONLY_AS_TASKS:
            require_client_extension(ctx, self.identifier)
        return await super().intercept_tool_call(params, ctx, call_next)


def question(message, name):
    schema = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


async def greet(name: str) -> str:
    return f"Hello, {name}!"


async def slow_compute(seconds: float = 0, label: str = "") -> str:
    await asyncio.sleep(seconds)
    return f"computed {label}"


async def failing_job() -> str:
    await asyncio.sleep(1)
    raise ValueError("this job always fails")


async def protocol_error_job() -> str:
    await asyncio.sleep(0.5)
    raise MCPError(INTERNAL_ERROR, "the job broke the protocol")


async def confirm_delete(filename: str) -> str:
    answer = await current_task().ask(question(f"Delete {filename}?", "confirm"))
    return f"{answer.action}: {filename}"


async def multi_input() -> str:
    task = current_task()
    answers = await asyncio.gather(task.ask(question("One?", "name")), task.ask(question("Two?", "name")))
    return " ".join(answer.content["name"] for answer in answers)


async def test_tool_with_task(context: Context) -> str | InputRequiredResult:
    if not context.input_responses:
        return InputRequiredResult(input_requests={"user_name": question("Your name?", "name")}, request_state="asked")
    await asyncio.sleep(0.5)
    return f"Hello, {context.input_responses['user_name'].content['name']}!"


def fixture_server():
    server = MCPServer("fixture", extensions=[FixtureTasks(lambda: current_principal().identity, LIMITS)])
    tools = (greet, slow_compute, failing_job, protocol_error_job, confirm_delete, multi_input, test_tool_with_task)
    for tool in tools:
        server.tool()(tool)
    return server
