"""The bridge under plain ASGI applications: what it hands over, what it lets through, how it ends."""

import asyncio
import contextlib
import logging
import socket

import httpx2
import pytest

JSON = [(b"content-type", b"application/json")]
SSE = [(b"content-type", b"text/event-stream")]


async def start(send, status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def body(send, data=b"", *, more=False):
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def test_the_application_gets_request_and_body_but_no_credentials(serve):
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope, message=await receive())
        await start(send, 200, JSON)
        await body(send, b"{}")

    service = await serve(app)
    headers = service.headers(Cookie="a=b", **{"Mcp-Session-Id": "s", "Proxy-Authorization": "Basic x"})
    await service.http.post("/mcp?a=%20b", content=b"hello", headers=headers)
    assert (seen["type"], seen["method"], seen["path"], seen["raw_path"]) == ("http", "POST", "/mcp", b"/mcp")
    assert (seen["query_string"], seen["http_version"], seen["scheme"]) == (b"a=%20b", "1.1", "http")
    assert seen["message"] == {"type": "http.request", "body": b"hello", "more_body": False}
    assert (b"mcp-session-id", b"s") in seen["headers"]
    assert not {b"authorization", b"cookie", b"proxy-authorization"} & {name for name, _ in seen["headers"]}
    assert "alice-token" not in repr(seen)


async def test_hop_by_hop_headers_cookies_and_our_own_are_not_the_applications_to_set(serve):
    async def app(scope, receive, send):
        theirs = [(b"connection", b"close"), (b"transfer-encoding", b"chunked"), (b"set-cookie", b"a=b"),
                  (b"cache-control", b"public"), (b"x-content-type-options", b"sniff"), (b"x-twice", b"1"),
                  (b"x-twice", b"2"), (b"mcp-session-id", b"abc")]  # fmt: skip
        await start(send, 200, JSON + theirs)
        await body(send, b"[1]")

    service = await serve(app)
    answer = await service.http.post("/mcp", headers=service.headers())
    assert (answer.content, answer.headers["content-type"]) == (b"[1]", "application/json")
    assert answer.headers.get_list("x-twice") == ["1", "2"]
    assert answer.headers["mcp-session-id"] == "abc"
    assert answer.headers["cache-control"] == "no-store, no-transform"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert {"connection", "transfer-encoding", "set-cookie"}.isdisjoint(answer.headers)


@pytest.mark.parametrize("status", [202, 204, 400, 404])
async def test_an_answer_without_a_body_has_no_content_type(serve, status):
    async def app(scope, receive, send):
        await start(send, status)
        await body(send)

    service = await serve(app)
    answer = await service.http.post("/mcp", headers=service.headers())
    assert (answer.status_code, answer.content) == (status, b"")
    assert "content-type" not in answer.headers


async def test_a_stream_shows_its_headers_and_each_event_as_it_comes(serve):
    steps = [asyncio.Event() for _ in range(3)]

    async def app(scope, receive, send):
        await start(send, 200, SSE)
        for step in steps:
            await step.wait()
            await body(send, b"data: x\n\n", more=True)
        await body(send)

    service = await serve(app)
    async with asyncio.timeout(10), service.http.stream("GET", "/mcp", headers=service.headers()) as answer:
        assert answer.status_code == 200  # before the first event exists
        chunks = answer.aiter_bytes()
        for step in steps:
            step.set()
            assert await anext(chunks) == b"data: x\n\n"
        assert [chunk async for chunk in chunks] == []


async def test_a_client_that_leaves_is_a_disconnect_and_a_499(serve, caplog):
    opened, left = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        opened.set()
        assert await receive() == {"type": "http.disconnect"}
        await start(send)
        await body(send, b"nobody reads this")
        left.set()

    service = await serve(app)
    with caplog.at_level(logging.INFO):
        async with asyncio.timeout(10):
            call = asyncio.create_task(service.http.post("/mcp", headers=service.headers()))
            await opened.wait()
            call.cancel()
            await left.wait()
            while not any(record.name == "kernel_gateway.access" for record in caplog.records):
                await asyncio.sleep(0)
    lines = [record for record in caplog.records if record.name.startswith(("kernel_gateway", "tornado"))]
    assert [(record.levelname, record.getMessage()[:13]) for record in lines] == [("INFO", "499 POST /mcp")]


async def test_after_the_answer_receive_says_disconnect(serve):
    said = asyncio.get_running_loop().create_future()

    async def app(scope, receive, send):
        await receive()
        await start(send)
        await body(send)
        said.set_result(await receive())

    service = await serve(app)
    await service.http.post("/mcp", headers=service.headers())
    assert await asyncio.wait_for(said, 10) == {"type": "http.disconnect"}


async def test_a_slow_reader_slows_the_application_down(serve):
    """Nothing reads, so after the socket buffers are full the application waits instead of piling up memory."""
    sent, full = [0], asyncio.Event()
    chunk = b"x" * 1_000_000

    async def app(scope, receive, send):
        await start(send, 200, SSE)
        for _ in range(200):
            pending = asyncio.ensure_future(body(send, chunk, more=True))
            _, waiting = await asyncio.wait([pending], timeout=0.5)
            if waiting:
                full.set()
            await pending
            sent[0] += 1
        await body(send)

    service = await serve(app)
    _, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1024)
    head = "".join(f"{k}: {v}\r\n" for k, v in service.headers(Host="localhost").items())
    writer.write(f"GET /mcp HTTP/1.1\r\n{head}\r\n".encode())
    await asyncio.wait_for(full.wait(), 20)
    assert sent[0] < 100
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_crash_before_the_answer_is_a_problem(serve):
    async def app(scope, receive, send):
        raise RuntimeError("hunter2")

    service = await serve(app)
    answer = await service.http.post("/mcp", headers=service.headers())
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "hunter2" not in answer.text


async def test_no_answer_at_all_is_a_problem(serve):
    async def app(scope, receive, send):
        await receive()

    service = await serve(app)
    assert (await service.http.post("/mcp", headers=service.headers())).status_code == 500


@pytest.mark.parametrize("crash", [True, False])
async def test_half_a_stream_does_not_look_like_a_whole_one(serve, caplog, crash):
    async def app(scope, receive, send):
        await start(send, 200, SSE)
        await body(send, b"data: half\n\n", more=True)
        if crash:
            raise ExceptionGroup("group", [RuntimeError(f"hunter{2}")])

    service = await serve(app)
    with pytest.raises(httpx2.RemoteProtocolError), caplog.at_level(logging.DEBUG):
        await service.http.get("/mcp", headers=service.headers())
    assert "hunter2" not in caplog.text
    assert ("RuntimeError" in caplog.text) is crash


async def test_nagle_stays_off_on_every_request_of_a_kept_connection(serve, monkeypatch):
    """Tornado turns it on again after each response."""
    from tornado.iostream import IOStream

    streams, seen = [], []
    real = IOStream.set_nodelay

    def remember(stream, value):
        streams.append(stream)
        real(stream, value)

    monkeypatch.setattr(IOStream, "set_nodelay", remember)

    async def app(scope, receive, send):
        connection = streams[-1].socket
        seen.append((connection.getpeername(), connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        await start(send, 200, SSE)
        await body(send, b"data: x\n\n", more=True)
        seen.append((connection.getpeername(), connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        await body(send)

    service = await serve(app)
    for _ in range(3):
        await service.http.post("/mcp", headers=service.headers())
    peers, options = zip(*seen, strict=True)
    assert len(set(peers)) == 1  # one kept connection
    assert all(options)
