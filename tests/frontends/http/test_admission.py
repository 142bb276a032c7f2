"""What somebody can take up before and after they say who they are: bodies, connections, protocol sessions."""

import asyncio
import json

import pytest
from mcp.server import MCPServer
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine

from kernel_gateway.frontends.admission import Admission
from kernel_gateway.frontends.settings import ServerSettings

LINE = RequestStartLine("POST", "/mcp", "HTTP/1.1")
LIMITS = ServerSettings(max_anonymous_body_bytes=2048, max_body_bytes=8192)
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


class Kept(HTTPMessageDelegate):
    """A request that remembers its body."""

    def __init__(self):
        self.body, self.started, self.finished, self.lost = b"", False, False, False

    def headers_received(self, start_line, headers):
        self.started = True

    def data_received(self, chunk):
        self.body += chunk

    def finish(self):
        self.finished = True

    def on_connection_close(self):
        self.lost = True


async def kept(tokens, size, **headers):
    """How much is kept of `size` bytes that come in pieces."""
    request = Kept()
    admission = Admission(request, tokens, LIMITS)
    if (wait := admission.headers_received(LINE, HTTPHeaders(headers))) is not None:
        await wait
    assert request.started
    for start in range(0, size, 1000):
        admission.data_received(b"x" * min(1000, size - start))
    admission.finish()
    assert request.finished
    return len(request.body)


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer unknown"}, {"Authorization": "Basic x"}])
@pytest.mark.parametrize(("size", "rest"), [(2048, 2048), (2049, 2048), (9000, 2048)])
async def test_little_is_kept_of_a_body_whose_sender_is_unknown(tokens, announced, headers, size, rest):
    length = {"Content-Length": str(size)} if announced else {"Transfer-Encoding": "chunked"}
    assert await kept(tokens, size, **headers, **length) == rest


@pytest.mark.parametrize(("size", "rest"), [(2049, 2049), (8192, 8192), (8193, 8193), (9000, 8193)])
async def test_all_that_is_allowed_and_one_byte_more_is_kept_of_a_known_caller(tokens, size, rest):
    headers = {"Authorization": "Bearer alice-token", "Content-Length": str(size)}
    assert await kept(tokens, size, **headers) == rest


async def test_nobody_is_asked_for_a_small_body(tokens):
    assert await kept(tokens, 2048, **{"Authorization": "Bearer alice-token", "Content-Length": "2048"}) == 2048
    assert await kept(tokens, 0, Authorization="Bearer alice-token") == 0
    assert tokens.asked == []


@pytest.mark.parametrize("length", ["5,5", "-1", "x", "²"])
async def test_a_length_that_is_none_is_no_small_body(tokens, length):
    assert await kept(tokens, 4000, **{"Content-Length": length}) == 2048


async def test_a_caller_who_leaves_meanwhile_is_passed_on(tokens):
    request = Kept()
    Admission(request, tokens, LIMITS).on_connection_close()
    assert request.lost


async def test_an_unknown_sender_of_much_gets_the_challenge_and_keeps_the_connection(serve):
    service = await serve()
    for headers, error in (({}, ""), ({"Authorization": "Bearer unknown"}, "invalid_token")):
        answer = await service.http.post("/mcp", content=b"x" * 1_000_000, headers=headers)
        assert answer.status_code == 401
        assert error in answer.headers["www-authenticate"]
        assert answer.headers.get("connection") != "close"


async def test_a_known_caller_sends_all_that_is_allowed(serve):
    sizes = []

    async def app(scope, receive, send):
        sizes.append(len((await receive())["body"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    service = await serve(app)
    for size in (65_536, 65_537, 1_048_576):
        assert (await service.http.post("/mcp", content=b"x" * size, headers=service.headers())).status_code == 204
    assert sizes == [65_536, 65_537, 1_048_576]


async def opened(port):
    return await asyncio.open_connection("127.0.0.1", port)


async def asked(reader, writer):
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return await answered(reader)


async def answered(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
    return int(head.split()[1]), head.decode(), json.loads(await reader.readexactly(length))


async def test_one_connection_more_than_allowed_is_told_so_and_closed(serve):
    service = await serve(max_connections=3)
    held = [await opened(service.port) for _ in range(3)]
    assert [(await asked(*each))[0] for each in held] == [200, 200, 200]
    reader, writer = await opened(service.port)
    status, head, problem = await answered(reader)
    assert (status, problem["code"], problem["status"]) == (503, "limited", 503)
    assert "Retry-After: 5" in head
    assert await reader.read() == b""
    writer.close()
    assert [(await asked(*each))[0] for each in held] == [200, 200, 200]
    held[0][1].close()
    async with asyncio.timeout(20):
        while True:
            reader, writer = await opened(service.port)
            held.append((reader, writer))
            if (await asked(reader, writer))[0] == 200:
                break
    for _, writer in held:
        writer.close()


async def initialize(service, token):
    headers = service.headers(token, Accept="application/json, text/event-stream")
    answer = await service.http.post("/mcp", json=INITIALIZE, headers=headers)
    return answer.status_code, answer


async def test_nobody_takes_all_protocol_sessions(serve, tokens):
    tokens.add("bob-token", subject="bob")
    service = await serve(MCPServer("lab"), max_mcp_sessions_per_principal=2, max_mcp_sessions=4)
    mine = [await initialize(service, "alice-token") for _ in range(2)]
    assert [status for status, _ in mine] == [200, 200]
    status, refused = await initialize(service, "alice-token")
    assert (status, refused.json()["code"], refused.headers["retry-after"]) == (429, "limited", "30")
    assert refused.headers["ratelimit-policy"] == '"mcp-sessions-per-token";q=2'
    assert refused.headers["ratelimit"] == '"mcp-sessions-per-token";r=0;t=30'
    assert (await initialize(service, "bob-token"))[0] == 200
    session = {"Mcp-Session-Id": mine[0][1].headers["mcp-session-id"]}
    assert (await service.http.delete("/mcp", headers=service.headers() | session)).status_code == 200
    assert (await initialize(service, "alice-token"))[0] == 200


async def test_a_repeated_header_opens_no_session_too_many(serve):
    service = await serve(MCPServer("lab"), max_mcp_sessions_per_principal=1)
    assert (await initialize(service, "alice-token"))[0] == 200
    headers = [*service.headers(Accept="application/json, text/event-stream").items()]
    headers += [("MCP-Protocol-Version", "2025-11-25"), ("MCP-Protocol-Version", "2026-07-28")]
    assert (await service.http.post("/mcp", json=INITIALIZE, headers=headers)).status_code == 429


async def test_of_many_openings_at_once_no_more_succeed_than_may(serve):
    service = await serve(MCPServer("lab"), max_mcp_sessions_per_principal=3)
    opened = await asyncio.gather(*(initialize(service, "alice-token") for _ in range(20)))
    assert sorted(status for status, _ in opened) == [200] * 3 + [429] * 17


async def test_a_caller_with_all_their_protocol_sessions_still_calls_in_the_present_revision(serve, connect):
    service = await serve(MCPServer("lab"), max_mcp_sessions_per_principal=1)
    assert (await initialize(service, "alice-token"))[0] == 200
    assert (await initialize(service, "alice-token"))[0] == 429
    async with connect(service) as client:
        assert (await client.list_tools()).tools == []
