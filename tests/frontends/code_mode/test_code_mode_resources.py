"""The two resources and the prompt."""

import asyncio
import json
import re

import pytest
from mcp.shared.exceptions import MCPError

from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends import prompt
from kernel_gateway.frontends.prompt import MAX_TASK_CHARS


async def test_the_catalog_and_the_transcripts_are_listed(in_memory):
    async with in_memory() as client:
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
    assert [(str(each.uri), each.mime_type) for each in resources] == [("kernel://catalog", "application/json")]
    assert [(each.uri_template, each.mime_type) for each in templates] == [
        ("kernel://sessions/{session_id}/transcript", "application/x-ndjson")
    ]


async def test_the_catalog_is_the_callers_own(in_memory, gateway):
    async with in_memory() as client:
        read = await client.read_resource("kernel://catalog")
    assert json.loads(read.contents[0].text) == {"version": 1, "servers": {}}
    assert read.contents[0].mime_type == "application/json"


async def test_a_transcript_is_one_json_object_a_line(in_memory, gateway, rehearsed):
    async with in_memory() as client:
        read = await client.read_resource("kernel://sessions/s1/transcript")
    events = [json.loads(line) for line in read.contents[0].text.splitlines()]
    assert [event["kind"] for event in events] == ["SessionOpened", "CellRan"]
    assert gateway.asked == [("transcript", rehearsed.ALICE, "s1")]


@pytest.mark.parametrize("uri", ["kernel://sessions/of-someone-else/transcript", "kernel://sessions/s1", "kernel://x"])
async def test_what_is_not_the_callers_is_not_found(in_memory, uri):
    async with in_memory() as client:
        with pytest.raises(MCPError) as raised:
            await client.read_resource(uri)
    assert raised.value.code == -32602


async def test_a_denied_resource_says_why(in_memory, gateway):
    async def denied(principal, session_id):
        raise GatewayError("denied", "this needs `kernel.read`; get a token that has it")

    gateway.transcript = denied
    async with in_memory() as client:
        with pytest.raises(MCPError, match=r"denied: this needs `kernel\.read`; get a token that has it"):
            await client.read_resource("kernel://sessions/s1/transcript")


async def test_a_crash_while_reading_shows_an_event_id_and_nothing_else(in_memory, gateway, caplog):
    async def crash(principal, session_id):
        raise RuntimeError("sec" + "ret")  # in two pieces, for the log shows this line

    gateway.transcript = crash
    async with in_memory() as client:
        with pytest.raises(MCPError, match="internal error; tell the operator the event id `event-1`"):
            await client.read_resource("kernel://sessions/s1/transcript")
    assert "event event-1 in a resource: RuntimeError" in caplog.text
    assert "secret" not in caplog.text


async def test_one_prompt_teaches_the_flow_and_quotes_the_task(in_memory):
    async with in_memory() as client:
        prompts = (await client.list_prompts()).prompts
        got = await client.get_prompt("start_code_mode", {"task": "make it\u202e small\x1b[31m"})
    assert [prompt.name for prompt in prompts] == ["start_code_mode"]
    assert [(each.name, each.required) for each in prompts[0].arguments] == [("task", False)]
    text = got.messages[0].content.text
    assert text.endswith("\n\nmake it<U+202E> small")
    assert all(word in text for word in ("`search", "`execute", "session_id", "ToolError", "idempotency_key", "lost"))
    assert len(text.splitlines()) < 30


@pytest.mark.parametrize("arguments", [None, {}, {"task": ""}, {"task": " \n"}])
async def test_without_a_task_the_prompt_teaches_the_flow_alone(in_memory, arguments):
    async with in_memory() as client:
        got = await client.get_prompt("start_code_mode", arguments)
    text = got.messages[0].content.text
    assert "`search" in text
    assert "The task" not in text


async def test_the_photograph_that_the_prompt_names_is_in_the_kernel(claim_kernel):
    path = re.search(r"`(matplotlib\.cbook\..*)`", prompt.start_code_mode())[1]
    kernel = await claim_kernel()
    code = f"import matplotlib.cbook, PIL.Image\nPIL.Image.open({path}).format"
    outcome = await kernel.run(code, 60, asyncio.get_running_loop().create_future())
    assert outcome.outputs.result == "'JPEG'", outcome.outputs.error


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("start_code_mode", {"task": "x" * (MAX_TASK_CHARS + 1)}),
        ("start_code_mode", {"task": "x", "mood": "y"}),
        ("another", {"task": "x"}),
    ],
)
async def test_a_prompt_asked_for_wrongly_is_a_protocol_error(in_memory, caplog, name, arguments):
    async with in_memory() as client:
        with pytest.raises(MCPError) as raised:
            await client.get_prompt(name, arguments)
    assert raised.value.code == -32602
    assert caplog.text == ""


async def test_a_task_of_the_longest_length_is_taken(in_memory):
    async with in_memory() as client:
        got = await client.get_prompt("start_code_mode", {"task": "x" * MAX_TASK_CHARS})
    assert got.messages[0].content.text.endswith("x" * MAX_TASK_CHARS)
