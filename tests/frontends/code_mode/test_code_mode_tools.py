"""The two tools as a client sees them."""

import jsonschema_rs
import pytest
from mcp.shared.exceptions import MCPError

from kernel_gateway.errors import CODES, GatewayError
from kernel_gateway.frontends.output_schema import (
    EXECUTE_OUTPUT,
    EXECUTE_STATUSES,
    SEARCH_OUTPUT,
    SEARCH_STATUSES,
    STATUS_OF_CODE,
)
from kernel_gateway.sessions.result import CellError, ExecuteRequest, ExecuteResult


async def test_there_are_exactly_two_tools_in_a_fixed_order(in_memory):
    async with in_memory() as client:
        tools = (await client.list_tools()).tools
        again = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == ["search", "execute"]
    assert tools == again


async def test_the_published_parameters_are_the_contracts_and_carry_its_bounds(in_memory):
    async with in_memory() as client:
        search, execute = (await client.list_tools()).tools
    assert search.input_schema["required"] == ["query"]
    assert execute.input_schema["required"] == ["code"]
    assert list(search.input_schema["properties"]) == ["query", "limit", "server", "detail"]
    assert list(execute.input_schema["properties"]) == [
        "code", "session_id", "timeout_seconds", "request_id", "validate_only", "approval_token",
        "fork_from_cell",
    ]  # fmt: skip
    of = search.input_schema["properties"]
    assert (of["query"]["minLength"], of["query"]["maxLength"]) == (1, 500)
    assert (of["limit"]["minimum"], of["limit"]["maximum"], of["limit"]["default"]) == (1, 50, 10)
    assert of["detail"]["enum"] == ["brief", "signature", "full"]
    of = execute.input_schema["properties"]
    assert of["code"]["maxLength"] == 65_536
    assert (of["timeout_seconds"]["minimum"], of["timeout_seconds"]["maximum"]) == (1, 600)
    assert of["timeout_seconds"]["default"] == 60
    for schema in (search.input_schema, execute.input_schema):
        assert schema["additionalProperties"] is False
        assert all("title" not in each for each in schema["properties"].values())


async def test_hints_say_what_each_tool_does_to_the_world(in_memory):
    async with in_memory() as client:
        search, execute = (await client.list_tools()).tools
    assert (search.annotations.read_only_hint, search.annotations.open_world_hint) == (True, False)
    assert (execute.annotations.read_only_hint, execute.annotations.destructive_hint) == (False, True)
    assert search.title and execute.title


async def test_the_description_of_execute_tells_how_long_a_session_lives(in_memory):
    async with in_memory() as client:
        execute = (await client.list_tools()).tools[1]
    assert "30 minutes without a cell" in execute.description
    assert len(execute.description) < 1_500


async def test_lists_may_be_cached_by_everyone_for_a_while(rehearsed, gateway):
    from mcp import Client

    async with Client(rehearsed.code_mode(gateway, list_ttl_seconds=7), mode="2026-07-28") as client:
        for listed in (await client.list_tools(), await client.list_prompts(), await client.list_resources()):
            assert (listed.ttl_ms, listed.cache_scope) == (7_000, "public")
        read = await client.read_resource("kernel://catalog")
    assert (read.ttl_ms, read.cache_scope) == (0, "private")


async def test_no_capability_is_announced_that_is_not_there(in_memory):
    async with in_memory() as client:
        capabilities = client.server_capabilities
    assert capabilities.logging is None
    assert capabilities.completions is None
    assert not capabilities.tools.list_changed
    assert not capabilities.resources.subscribe


async def test_search_passes_what_was_asked_and_returns_the_hits(in_memory, gateway, rehearsed):
    async with in_memory() as client:
        result = await client.call_tool(
            "search", {"query": "create an image job", "limit": 3, "server": "image_ops", "detail": "signature"}
        )
    assert gateway.asked == [("search", rehearsed.ALICE, "create an image job", 3, "image_ops", "signature")]
    assert not result.is_error
    assert result.structured_content == rehearsed.FOUND
    assert "1. image_ops:jobs_create" in result.content[0].text


async def test_execute_passes_what_was_asked_with_the_contracts_defaults(in_memory, gateway, rehearsed):
    async with in_memory() as client:
        await client.call_tool("execute", {"code": "6*7"})
        result = await client.call_tool(
            "execute", {"code": "x", "session_id": "s1", "timeout_seconds": 5, "request_id": "r"}
        )
    requests = [asked[2] for asked in gateway.asked]
    assert requests == [ExecuteRequest("6*7", "", 60.0, ""), ExecuteRequest("x", "s1", 5.0, "r")]
    assert result.structured_content == {
        "status": "ok", "session_id": "s1", "execution_count": 1, "result": "42", "duration_ms": 3.1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tool", "arguments", "complaint"),
    [
        ("search", {}, "`query` is required"),
        ("search", {"query": ""}, "`query` must have at least 1 character"),
        ("search", {"query": "q" * 501}, "`query` must have at most 500 characters"),
        ("search", {"query": 7}, "`query` must be a string, not `7`"),
        ("search", {"query": "q", "limit": 0}, "`limit` must be at least 1, not `0`"),
        ("search", {"query": "q", "limit": 51}, "`limit` must be at most 50, not `51`"),
        ("search", {"query": "q", "limit": "5"}, "`limit` must be an integer, not `5`"),
        ("search", {"query": "q", "limit": True}, "`limit` must be an integer, not `True`"),
        (
            "search",
            {"query": "q", "detail": "all"},
            "`detail` must be one of 'brief', 'signature' or 'full', not `all`",
        ),
        ("search", {"query": "q", "server": None}, "`server` must be a string"),
        ("execute", {}, "`code` is required"),
        ("execute", {"code": ["x"]}, "`code` must be a string"),
        ("execute", {"code": "x" * 65_537}, "`code` must have at most 65536 characters"),
        ("execute", {"code": "é" * 32_769}, "`code` is longer than 65536 bytes; send it in several cells"),
        ("execute", {"code": "x", "timeout_seconds": 0.5}, "`timeout_seconds` must be at least 1, not `0.5`"),
        ("execute", {"code": "x", "timeout_seconds": 601}, "`timeout_seconds` must be at most 600, not `601`"),
        ("execute", {"code": "x", "timeout_seconds": "60"}, "`timeout_seconds` must be a number, not `60`"),
        ("execute", {"code": "x", "session_id": "s" * 129}, "`session_id` must have at most 128 characters"),
        ("execute", {"code": "x", "validate_only": "yes"}, "`validate_only` must be true or false, not `yes`"),
        ("execute", {"code": "x", "approval_token": "t" * 513}, "`approval_token` must have at most 512 characters"),
        ("execute", {"code": "x", "request_id": 1}, "`request_id` must be a string, not `1`"),
        (
            "execute",
            {"code": "x", "sesion_id": "s"},
            (
                "unknown argument `sesion_id`; known are `code`, `session_id`, `timeout_seconds`, `request_id`, "
                "`validate_only`, `approval_token`, `fork_from_cell`"
            ),
        ),
    ],
)
async def test_bad_input_comes_back_as_a_result_with_a_code_and_one_clear_line(
    in_memory, gateway, tool, arguments, complaint
):
    async with in_memory() as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert result.structured_content == {"status": "invalid", "code": "invalid", "message": complaint}
    assert result.content[0].text == f"invalid: {complaint}"
    assert gateway.asked == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("search", {"query": "q" * 500, "limit": 50, "detail": "full"}),
        ("search", {"query": "q", "limit": 1, "server": "s" * 64}),
        ("execute", {"code": "x" * 65_536, "timeout_seconds": 600, "request_id": "r" * 128}),
        ("execute", {"code": "é" * 32_768, "timeout_seconds": 1.0, "session_id": "s" * 128}),
        ("execute", {"code": "x", "validate_only": True, "approval_token": "t" * 512}),
        ("execute", {"code": ""}),
    ],
)
async def test_input_on_its_bounds_is_taken(in_memory, gateway, tool, arguments):
    async with in_memory() as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error
    assert len(gateway.asked) == 1


async def test_an_unknown_tool_is_a_protocol_error_that_names_the_two(in_memory):
    async with in_memory() as client:
        with pytest.raises(MCPError) as raised:
            await client.call_tool("jobs_create", {})
    assert raised.value.code == -32602
    assert str(raised.value) == "unknown tool; there are `search` and `execute`"


def test_every_code_has_a_status_of_the_contract():
    assert set(STATUS_OF_CODE) == set(CODES)
    assert set(STATUS_OF_CODE.values()) <= set(EXECUTE_STATUSES)
    for code in ("sandbox", "upstream", "upstream_unavailable", "upstream_invalid", "outcome_unknown", "internal"):
        assert STATUS_OF_CODE[code] == "lost"


async def test_a_published_status_is_one_that_can_happen(in_memory):
    async with in_memory() as client:
        search, execute = (await client.list_tools()).tools
    published = execute.output_schema["properties"]["status"]["enum"]
    assert published == list(EXECUTE_STATUSES)
    assert search.output_schema["properties"]["status"]["enum"] == list(SEARCH_STATUSES)
    assert set(SEARCH_STATUSES) == {STATUS_OF_CODE[code] for code in OF_SEARCH}
    assert list(search.output_schema["properties"]) == [
        "hits", "total", "confidence", "hint", "status", "code", "message", "retry_after",
    ]  # fmt: skip


# what a search can be refused with
OF_SEARCH = ("unauthenticated", "denied", "disabled", "limited", "invalid", "not_found", "internal")
REFUSALS = [*(("search", code) for code in OF_SEARCH), *(("execute", code) for code in sorted(CODES))]


@pytest.mark.parametrize(("tool", "code"), REFUSALS)
async def test_a_refusal_of_the_gateway_keeps_its_code_message_and_wait(in_memory, gateway, code, tool):
    gateway.answer = gateway.found = GatewayError(code, "not now; wait", retry_after=2.5)
    async with in_memory() as client:
        result = await client.call_tool(tool, {"code": "x"} if tool == "execute" else {"query": "q"})
    assert result.is_error
    assert result.structured_content == {
        "status": STATUS_OF_CODE[code], "code": code, "message": "not now; wait", "retry_after": 2.5,
    }  # fmt: skip
    assert result.content[0].text == f"{code}: not now; wait (try again in 2 s)"
    schema = EXECUTE_OUTPUT if tool == "execute" else SEARCH_OUTPUT
    jsonschema_rs.validate(schema, result.structured_content)


@pytest.mark.parametrize("tool", ["search", "execute"])
async def test_a_crash_shows_an_event_id_and_nothing_else(in_memory, gateway, caplog, tool):
    gateway.answer = gateway.found = RuntimeError("https://store.example/?X-Amz-Signature=abc")
    async with in_memory() as client:
        result = await client.call_tool(tool, {"code": "x"} if tool == "execute" else {"query": "q"})
    assert result.structured_content == {
        "status": "lost", "code": "internal",
        "message": "internal error; tell the operator the event id `event-1`",
    }  # fmt: skip
    assert f"event event-1 in tool {tool}: RuntimeError" in caplog.text
    assert "rehearsed.py" in caplog.text
    assert "Signature" not in caplog.text + str(result)


async def test_a_caller_nobody_knows_is_denied(in_memory, gateway):
    def nobody():
        raise GatewayError("unauthenticated", "no caller is known here; send a bearer token")

    async with in_memory(nobody) as client:
        result = await client.call_tool("execute", {"code": "x"})
    assert (result.is_error, result.structured_content["status"]) == (True, "denied")
    assert gateway.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        ExecuteResult("error", "s1", 2, error=CellError("ValueError", "no", "Traceback: no"), duration_ms=1),
        ExecuteResult("timeout", "s1", 2, stdout="so far", duration_ms=60_000),
        ExecuteResult("interrupted", "s1", 0),
    ],
)
async def test_a_cell_that_failed_is_not_a_tool_error(in_memory, gateway, answer):
    gateway.answer = answer
    async with in_memory() as client:
        result = await client.call_tool("execute", {"code": "x"})
    assert not result.is_error
    assert "code" not in result.structured_content
    assert result.structured_content["status"] == answer.status
    jsonschema_rs.validate(EXECUTE_OUTPUT, result.structured_content)


async def test_a_dead_kernel_is_a_tool_error_that_says_what_was_lost(in_memory, gateway):
    gateway.answer = ExecuteResult(
        "lost", "s1", 3, stdout="before", lost=("all variables of cells 1 to 2",), code="kernel_died",
        message="the kernel ran out of memory; start again", retry_after=1.0,
    )  # fmt: skip
    async with in_memory() as client:
        result = await client.call_tool("execute", {"code": "x"})
    assert result.is_error
    assert result.structured_content["state"] == {"lost": ["all variables of cells 1 to 2"]}
    assert (result.structured_content["code"], result.structured_content["retry_after"]) == ("kernel_died", 1.0)
    text = result.content[0].text
    assert "kernel_died: the kernel ran out of memory; start again" in text
    assert "lost: all variables of cells 1 to 2" in text
    assert "before" in text
