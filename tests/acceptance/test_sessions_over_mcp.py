"""Sessions as an agent meets them through MCP: whose they are, how a cell is stopped, retried and seen."""

import asyncio
import json

import httpx2
import pytest
from mcp.types import ImageContent, TextContent


async def test_a_cancelled_call_interrupts_its_cell_and_the_session_lives_on(agent):
    await agent.execute("kept = 1")
    call = await agent.begin("import time\ntime.sleep(60)")
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    after, _ = await agent.execute("kept")
    assert (after["status"], after["result"], after["execution_count"]) == ("ok", "1", 3)


async def test_a_long_cell_reports_progress(agent):
    seen = []

    async def on_progress(progress, total, message):
        seen.append(progress)

    arguments = {"code": "import time; time.sleep(1.7)", "session_id": agent.session_id}
    await agent.client.call_tool("execute", arguments, progress_callback=on_progress)
    assert len(seen) >= 2
    assert seen == sorted(seen)


async def test_a_retry_with_the_same_request_id_gets_the_first_answer(agent):
    first, _ = await agent.execute("import random; random.random()", request_id="retry-1")
    again = await agent.client.call_tool("execute", {"code": "import random; random.random()", "request_id": "retry-1"})
    assert again.structured_content == first


async def test_a_dropped_connection_with_a_request_id_is_joined_again_and_the_cell_ran_once(over_http):
    agent = await over_http()
    first, _ = await agent.execute("runs = 0")
    assert first["status"] == "ok", first
    code = "runs += 1\nimport time; time.sleep(3)\nruns"  # long enough for a word of progress on a loaded machine
    call = await agent.begin(code, request_id="once")
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    joined, _ = await agent.execute(code, request_id="once")
    assert (joined["status"], joined["result"]) == ("ok", "1")


async def test_another_subjects_session_is_not_found(over_http, service):
    world, _, _, _ = service
    agent = await over_http()
    await agent.execute("x = 1")
    other = await over_http(token=world.mint("somebody-else", "kernel.execute kernel.read"))
    other.session_id = agent.session_id
    result, _ = await other.execute("x")
    assert (result["status"], result["code"]) == ("not_found", "not_found")


async def test_a_token_that_expires_in_the_middle_of_a_cell_can_call_nothing_more(over_http, service):
    world, _, _, _ = service
    token = world.mint("agent", "kernel.execute image.quota.read", ttl_seconds=2)
    agent = await over_http(token=token)
    await agent.client.list_tools()  # the SDK's client wants them to check a result, which the dead token could not get
    result, _ = await agent.execute(
        "import time\nimage_ops.quota_get()\ncode = ''\n"
        "while not code:\n  try:\n    time.sleep(0.5); call_tool('image_ops:quota_get')\n"
        "  except ToolError as error: code = error.code\nprint(code)",
        timeout_seconds=30,
    )
    assert result["stdout"] == "denied\n"


async def test_a_large_picture_is_made_smaller_with_a_note_and_svg_never_leaves(agent):
    result, content = await agent.execute(
        "import numpy\nfrom PIL import Image\nfrom IPython.display import SVG\n"
        "display(Image.fromarray(numpy.random.default_rng(0).integers(0, 255, (1500, 1500, 3), dtype='uint8')))\n"
        "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>'))"
    )
    assert result["status"] == "ok", result
    (picture,) = [block for block in content if isinstance(block, ImageContent)]
    assert len(picture.data) < 1024 * 1024
    text = "".join(block.text for block in content if isinstance(block, TextContent))
    assert "smaller" in text
    assert "<script>" not in json.dumps([block.model_dump() for block in content])


async def test_the_transcript_is_a_resource_of_its_owner(over_http, service):
    world, _, _, _ = service
    agent = await over_http()
    await agent.execute("1/0")
    uri = f"kernel://sessions/{agent.session_id}/transcript"
    lines = (await agent.client.read_resource(uri)).contents[0].text.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["session_opened", "cell_ran"]
    other = await over_http(token=world.mint("somebody-else", "kernel.execute kernel.read"))
    with pytest.raises(Exception, match="not found"):
        await other.client.read_resource(uri)


async def test_there_are_exactly_two_tools_one_prompt_and_the_catalog(agent):
    tools = (await agent.client.list_tools()).tools
    assert [tool.name for tool in tools] == ["search", "execute"]
    assert [prompt.name for prompt in (await agent.client.list_prompts()).prompts] == ["start_code_mode"]
    catalog = json.loads((await agent.client.read_resource("kernel://catalog")).contents[0].text)
    assert [each["name"] for each in catalog["servers"]["image_ops"]["operations"]][:2] == [
        "uploads_init",
        "jobs_create",
    ]


async def test_without_a_token_there_is_a_challenge_and_the_flow_never_starts(service):
    _, _, url, _ = service
    async with httpx2.AsyncClient() as http:
        answer = await http.post(f"{url}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        assert answer.status_code == 401
        assert "resource_metadata" in answer.headers["www-authenticate"]
        metadata = (await http.get(f"{url}/.well-known/oauth-protected-resource/mcp")).json()
        assert metadata["resource"] == f"{url}/mcp"


async def test_a_session_can_be_read_and_closed_over_rest(over_http):
    agent = await over_http()
    await agent.execute("1")
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {agent.token}"}) as http:
        listed = (await http.get(f"{agent.url}/v1/sessions")).json()
        assert agent.session_id in json.dumps(listed)
        transcript = await http.get(f"{agent.url}/v1/sessions/{agent.session_id}/transcript")
        assert [json.loads(line)["kind"] for line in transcript.text.splitlines()] == ["session_opened", "cell_ran"]
        closed = await http.delete(f"{agent.url}/v1/sessions/{agent.session_id}")
        assert closed.status_code in (200, 204)
        assert (await http.get(f"{agent.url}/v1/sessions/{agent.session_id}")).status_code == 404
    result, _ = await agent.execute("1")
    assert result["code"] == "not_found"
