"""One task by itself: its questions, its end, what is told of it."""

import asyncio
import logging

import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, CallToolResult, ElicitRequest, ElicitRequestFormParams, InputRequiredResult
from pydantic import ValidationError

from kernel_gateway.frontends.task import Status, Task, current_task
from tests.conftest import until

QUESTION = ElicitRequest(params=ElicitRequestFormParams(message="Go on?", requested_schema={"type": "object"}))
YES = {"action": "accept", "content": {"approve": True}}


def task_of(work):
    return Task("id", ("alice",), work, size_bytes=1000, clock=lambda: 1_800_000_000.5, new_id=lambda: "event-1")


async def test_questions_are_outstanding_until_each_is_answered_and_no_key_is_used_twice():
    seen = []

    async def work():
        seen.append(await asyncio.gather(current_task().ask(QUESTION), current_task().ask(QUESTION)))
        seen.append(await current_task().ask(QUESTION))
        return CallToolResult(content=[])

    task = task_of(work)
    await until(lambda: len(task.detail().get("inputRequests", ())) == 2)
    first, second = task.detail()["inputRequests"]
    assert (task.status, task.asks.is_set()) == (Status.INPUT_REQUIRED, True)
    task.answer({first: YES, "never-asked": {"anything": 1}})
    assert list(task.detail()["inputRequests"]) == [second]
    task.answer({first: {"action": "decline"}, second: YES})
    assert task.detail() == {}
    await until(lambda: task.status is Status.INPUT_REQUIRED)
    (third,) = task.detail()["inputRequests"]
    assert third not in (first, second)
    task.answer({third: {"action": "decline"}})
    await asyncio.wait({task.job})
    assert [each.action for each in seen[0]] == ["accept", "accept"]
    assert (seen[1].action, task.status) == ("decline", Status.COMPLETED)


async def test_an_answer_of_another_shape_is_refused_and_every_question_stays():
    async def work():
        await asyncio.gather(current_task().ask(QUESTION), current_task().ask(QUESTION))

    task = task_of(work)
    await until(lambda: len(task.detail().get("inputRequests", ())) == 2)
    first, second = task.detail()["inputRequests"]
    with pytest.raises(ValidationError):
        task.answer({first: YES, second: {"action": "perhaps"}})
    assert list(task.detail()["inputRequests"]) == [first, second]
    task.cancel()
    await asyncio.wait({task.job})
    assert (task.status, task.detail()) == (Status.CANCELLED, {})


async def test_who_asks_may_give_up_and_the_question_is_gone():
    async def work():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await current_task().ask(QUESTION)
        return CallToolResult(content=[])

    task = task_of(work)
    await asyncio.wait({task.job})
    assert (task.status, task.detail()["result"]["content"]) == (Status.COMPLETED, [])


@pytest.mark.parametrize("end", ["raises", "returns something else"])
async def test_a_crash_is_failed_with_an_event_id_and_nothing_else(end, caplog):
    secret = "hidden" * 2

    async def work():
        if end == "raises":
            raise RuntimeError(secret)
        return {"content": secret}

    task = task_of(work)
    with caplog.at_level(logging.ERROR):
        await asyncio.wait({task.job})
        await until(lambda: task.status is Status.FAILED)
    detail = task.detail()
    message = "internal error; tell the operator the event id `event-1`"
    assert detail == {"statusMessage": message, "error": {"code": INTERNAL_ERROR, "message": message}}
    assert "event-1" in caplog.text
    assert secret not in caplog.text


async def test_a_call_whose_client_answers_by_calling_again_leaves_nothing_to_ask_for():
    async def work():
        return InputRequiredResult(request_state="sealed")

    task = task_of(work)
    await asyncio.wait({task.job})
    await until(lambda: task.status is Status.CANCELLED)
    assert task.detail() == {}


async def test_a_protocol_error_is_failed_with_that_error():
    async def work():
        raise MCPError(-32602, "no such tool", {"tool": "x"})

    task = task_of(work)
    await asyncio.wait({task.job})
    await until(lambda: task.status is Status.FAILED)
    assert task.detail()["error"] == {"code": -32602, "message": "no such tool", "data": {"tool": "x"}}


async def test_times_are_utc_to_the_millisecond_and_intervals_whole_milliseconds():
    task = task_of(asyncio.Event().wait)
    task.announced_at = 1_800_000_000.25
    assert task.said(600, 2.0) == {
        "taskId": "id",
        "status": "working",
        "createdAt": "2027-01-15T08:00:00.250Z",
        "lastUpdatedAt": "2027-01-15T08:00:00.500Z",
        "ttlMs": 600_250,
        "pollIntervalMs": 2000,
    }
    task.cancel()


async def test_outside_a_call_there_is_no_task():
    assert current_task() is None
