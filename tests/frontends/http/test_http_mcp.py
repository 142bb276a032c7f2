"""The SDK's own client against `/mcp`, in both protocol eras: whose call it is, streams, cancellation, sessions."""

import asyncio
import json

import pytest
from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import Context

from kernel_gateway.auth.current import current_principal

ERAS = ["2026-07-28", "legacy"]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


class Lab:
    """An MCP server with tools that show what the bridge does. `events` are set by the tools and the test."""

    def __init__(self):
        self.server = MCPServer("lab")
        self.started, self.go, self.cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.headers = {}
        for tool in (self.whoami, self.search, self.execute, self.slow, self.progress):
            self.server.tool()(tool)

    async def whoami(self, ctx: Context) -> str:
        self.headers = dict(ctx.request_context.request.headers)
        principal, sdk = current_principal(), get_access_token()
        assert (sdk.token, sdk.scopes) == ("", sorted(principal.scopes))
        return f"{principal.organisation}/{principal.subject} {' '.join(sorted(principal.scopes))}"

    async def search(self, query: str) -> str:
        return query

    async def execute(self, code: str) -> str:
        return code

    async def slow(self) -> str:
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return f"done for {current_principal().subject}"

    async def progress(self, ctx: Context) -> str:
        for step in range(3):
            await ctx.report_progress(step, 3, f"step {step}")
        self.started.set()
        await self.go.wait()
        return "done"


@pytest.fixture
async def lab():
    return Lab()


@pytest.fixture
async def service(serve, lab):
    return await serve(lab.server)


def text(result):
    return result.content[0].text


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_sees_the_principal_of_the_call(service, connect, lab, era):
    async with connect(service, mode=era) as client:
        assert text(await client.call_tool("whoami", {})) == (
            "acme/alice kernel.delete kernel.execute kernel.read kernel.search"
        )
    assert "authorization" not in lab.headers


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_sees_the_token_of_this_call_and_not_of_the_first(service, connect, narrowed, era):
    narrowed("alice-token", "narrow", {"kernel.read"})
    async with connect(service, mode=era) as client:
        await client.call_tool("whoami", {})
        client.http.headers["Authorization"] = "Bearer narrow"
        assert text(await client.call_tool("whoami", {})) == "acme/alice kernel.read"


@pytest.mark.parametrize("era", ERAS)
async def test_concurrent_callers_do_not_mix(service, connect, tokens, era):
    tokens.add("bob", subject="bob")
    async with connect(service, mode=era) as alice, connect(service, "bob", mode=era) as bob:
        answers = await asyncio.gather(*(c.call_tool("whoami", {}) for c in [alice, bob] * 5))
    assert [text(a).split()[0] for a in answers] == ["acme/alice", "acme/bob"] * 5


@pytest.mark.parametrize("era", ERAS)
async def test_progress_arrives_while_the_tool_still_runs(service, connect, lab, era):
    steps = []

    async def on_progress(progress, total, message):
        steps.append(message)
        if len(steps) == 3:
            lab.go.set()

    async with connect(service, mode=era) as client:
        result = await client.call_tool("progress", {}, progress_callback=on_progress)
    assert (text(result), steps) == ("done", ["step 0", "step 1", "step 2"])


async def call_and_leave(service, call, headers):
    """Sends one request on a connection of its own and closes it as soon as the handler runs."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    body = json.dumps(call).encode()
    head = service.headers() | ACCEPT | headers | {"Host": f"127.0.0.1:{service.port}", "Content-Length": len(body)}
    writer.write(
        b"POST /mcp HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head.items()).encode() + b"\r\n" + body
    )
    await writer.drain()
    return reader, writer


MODERN = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {
        "name": "slow",
        "arguments": {},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
        },
    },
}
MODERN_HEADERS = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "slow"}


async def test_closing_the_connection_cancels_a_modern_call(service, lab):
    _, writer = await call_and_leave(service, MODERN, MODERN_HEADERS)
    async with asyncio.timeout(10):
        await lab.started.wait()
        writer.close()
        await lab.cancelled.wait()


@pytest.mark.parametrize("era", ERAS)
async def test_a_cancelled_client_call_cancels_the_tool(service, connect, lab, era):
    async with connect(service, mode=era) as client, asyncio.timeout(10):
        call = asyncio.create_task(client.call_tool("slow", {}))
        await lab.started.wait()
        call.cancel()
        await lab.cancelled.wait()
        await asyncio.wait([call])


async def open_session(service, token="alice-token"):
    answer = await service.http.post("/mcp", json=INITIALIZE, headers=service.headers(token) | ACCEPT)
    assert answer.status_code == 200
    return {"Mcp-Session-Id": answer.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"} | ACCEPT


LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


@pytest.mark.parametrize(
    "other", [{"subject": "bob"}, {"organisation": "umbrella"}, {"client": "other"}, {"issuer": "https://two.example"}]
)
async def test_a_protocol_session_of_another_principal_is_not_found(service, tokens, other):
    tokens.add("other", **other)
    session = await open_session(service)
    for method in ("POST", "GET", "DELETE"):
        body = {"json": LIST} if method == "POST" else {}
        answer = await service.http.request(method, "/mcp", headers=service.headers("other") | session, **body)
        assert answer.status_code == 404
    answer = await service.http.post("/mcp", json=LIST, headers=service.headers() | session)
    assert answer.status_code == 200


async def test_organisation_and_subject_cannot_be_shifted_into_each_other(service, tokens):
    tokens.add("one", organisation="a", subject='b", "c')
    tokens.add("two", organisation='a", "b', subject="c")
    session = await open_session(service, "one")
    answer = await service.http.post("/mcp", json=LIST, headers=service.headers("two") | session)
    assert answer.status_code == 404


async def test_a_protocol_session_needs_a_token_every_time(service):
    session = await open_session(service)
    assert (await service.http.post("/mcp", json=LIST, headers=session)).status_code == 401


async def test_a_renewed_token_of_the_same_caller_keeps_the_session(service, narrowed):
    session = await open_session(service)
    narrowed("alice-token", "renewed", {"kernel.read"})
    answer = await service.http.post("/mcp", json=LIST, headers=service.headers("renewed") | session)
    assert answer.status_code == 200


async def test_a_stream_of_news_opens_at_once_and_ends_with_its_token(service, tokens, narrowed):
    tokens.add("short", expires_at=1_800_000_000.0 + 0.05)
    session = await open_session(service, "short")
    async with asyncio.timeout(10):
        async with service.http.stream("GET", "/mcp", headers=service.headers("short") | session) as stream:
            assert stream.status_code == 200
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert [chunk async for chunk in stream.aiter_bytes() if not chunk.startswith(b":")] == []


def call(tool):
    return {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": tool, "arguments": {}}}


@pytest.mark.parametrize(("tool", "scope"), [("search", "kernel.search"), ("execute", "kernel.execute")])
async def test_a_tool_call_without_its_scope_is_challenged_with_all_it_needs(service, narrowed, tool, scope):
    narrowed("alice-token", "narrow", {"kernel.read"})
    answer = await service.http.post("/mcp", json=call(tool), headers=service.headers("narrow") | ACCEPT)
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == (
        f'Bearer error="insufficient_scope", error_description="this call needs the scopes `{scope}`; get a token that '
        f'has them all", scope="{scope}", '
        f'resource_metadata="{service.url}/.well-known/oauth-protected-resource/mcp"'
    )
    assert answer.json()["code"] == "denied"


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_a_task_is_for_who_may_run_cells(service, narrowed, method):
    narrowed("alice-token", "narrow", {"kernel.read", "kernel.search"})
    body = {"jsonrpc": "2.0", "id": 3, "method": method, "params": {"taskId": "id"}}
    answer = await service.http.post("/mcp", json=body, headers=service.headers("narrow") | ACCEPT)
    assert answer.status_code == 403
    assert 'scope="kernel.execute"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"[]",
        b"7",
        b"[" * 100_000,
        b'{"method": 5}',
        b'{"method":"tools/call","params":{"name":[]}}',
        b"\xff",
    ],
)
async def test_a_body_that_cannot_be_read_is_the_protocol_librarys_to_refuse(service, body):
    answer = await service.http.post("/mcp", content=body, headers=service.headers() | ACCEPT)
    assert 400 <= answer.status_code < 500
    assert "www-authenticate" not in answer.headers
