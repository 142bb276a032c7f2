"""A server spoken to over real HTTP: slow, lying, down, redirecting, huge and honest ones."""

import asyncio
import json
import logging
import socket

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel_gateway.upstreams.asker import HEADER, signer
from kernel_gateway.upstreams.base import Asker, UpstreamError
from kernel_gateway.upstreams.http import connect
from kernel_gateway.upstreams.settings import UpstreamSettings

ASKER = Asker("https://issuer.test", "acme", "ada", "agent", "s1", 3)
KEY = Ed25519PrivateKey.generate()
NOW = 1_800_000_000.0


class Register:
    """Where secrets are registered."""

    def __init__(self):
        self.known = set()

    def register(self, value):
        self.known.add(value)

    def redact(self, text):
        for value in self.known:
            text = text.replace(value, "[redacted]")
        return text


@pytest.fixture
async def reach(loopback):
    """reach(respond, **settings) -> (upstream, server, register)"""
    made = []

    async def start(respond, **settings):
        server = await loopback(respond)
        register = Register()
        for name in ("token_url",):
            if name in settings:
                settings[name] = server.url + settings[name]
        upstream = connect(
            "things",
            UpstreamSettings(base_url=server.url, **settings),
            sign=signer(KEY, lambda: NOW),
            redactor=register,
            clock=lambda: NOW,
        )
        made.append(upstream)
        return upstream, server, register

    yield start
    for upstream in made:
        await upstream.close()


def reply(status, body, content_type="application/json", **headers):
    def respond(handler):
        handler.set_status(status)
        handler.set_header("Content-Type", content_type)
        for name, value in headers.items():
            handler.set_header(name.replace("_", "-"), value)
        handler.write(body if isinstance(body, str | bytes) else json.dumps(body))

    return respond


async def get(upstream, things, **options):
    options = {"idempotency_key": None, "asker": ASKER, "deadline_seconds": 5.0} | options
    return await upstream.call(things.get("things:things_get"), {"id": "a/b", "tag": ["x y"]}, **options)


async def create(upstream, things, key="k"):
    operation = things.get("things:things_create")
    return await upstream.call(operation, {"name": "n"}, idempotency_key=key, asker=ASKER, deadline_seconds=5.0)


async def refusal(upstream, things, **options):
    with pytest.raises(UpstreamError) as refused:
        await get(upstream, things, **options)
    assert "\n" not in refused.value.message and upstream_url(upstream) not in refused.value.message
    return refused.value


def upstream_url(upstream):
    return upstream._settings.base_url


async def test_an_answer_comes_back_parsed_and_the_request_is_as_described(reach, things):
    upstream, server, _ = await reach(reply(200, {"a": [1, None]}))
    answer = await get(upstream, things)
    assert (answer.status, answer.body, answer.replayed) == (200, {"a": [1, None]}, False)
    assert answer.bytes_received == len(json.dumps({"a": [1, None]}))
    (request,) = server.seen
    assert (request.method, request.path, request.query) == ("GET", "/things/a%2Fb", "tag=x%20y")
    assert "Authorization" not in request.headers and "Idempotency-Key" not in request.headers


async def test_a_base_url_with_a_path_keeps_it(reach, things):
    _, server, _ = await reach(reply(200, {}))
    server_settings = UpstreamSettings(base_url=server.url + "/v2/")
    other = connect("things", server_settings, sign=signer(KEY, lambda: NOW), redactor=Register(), clock=lambda: NOW)
    await get(other, things)
    await other.close()
    assert server.seen[0].path == "/v2/things/a%2Fb"


async def test_the_asker_travels_in_a_signed_header_for_this_server_and_operation(reach, things):
    upstream, server, _ = await reach(reply(200, {}))
    await get(upstream, things)
    word = server.seen[0].headers[HEADER]
    claims = jwt.decode(
        word, KEY.public_key(), ["EdDSA"], audience="things", options={"verify_exp": False, "verify_iat": False}
    )
    assert claims["iss"] == "kernel-gateway" and claims["exp"] - claims["iat"] == 60
    assert (claims["org"], claims["sub"], claims["client"], claims["session"]) == ("acme", "ada", "agent", "s1")
    assert claims["operation"] == "things:things_get"


async def test_the_idempotency_key_is_sent_and_a_replay_is_told(reach, things):
    upstream, server, _ = await reach(reply(201, {}, Idempotency_Replayed="true"))
    assert (await create(upstream, things, "key-1")).replayed
    assert server.seen[0].headers["Idempotency-Key"] == "key-1"
    assert server.seen[0].body == b'{"name":"n"}'


async def test_a_static_bearer_is_sent_registered_and_never_shown(reach, things):
    upstream, server, register = await reach(reply(200, {}), bearer="hush-hush")
    await get(upstream, things)
    assert server.seen[0].headers["Authorization"] == "Bearer hush-hush"
    assert "hush-hush" in register.known
    assert "hush-hush" not in repr(upstream) + repr(upstream._credential) + repr(upstream._settings)


async def test_an_answer_that_repeats_the_credential_is_refused(reach, things):
    upstream, _, _ = await reach(
        lambda handler: handler.write({"echo": handler.request.headers["Authorization"]}), bearer="hush-hush"
    )
    refused = await refusal(upstream, things)
    assert refused.code == "upstream_invalid" and "hush" not in refused.message


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid"),
        (403, "upstream"),
        (404, "not_found"),
        (409, "conflict"),
        (410, "not_found"),
        (413, "too_large"),
        (418, "upstream"),
        (422, "invalid"),
        (500, "upstream"),
        (503, "upstream_unavailable"),
    ],
)
async def test_a_problem_becomes_a_code_with_its_title_and_detail(reach, things, status, code):
    problem = {
        "title": "No good",
        "detail": "the\nreason",
        "errors": [{"pointer": "/name", "detail": "is odd"}],
        "code": "x",
    }
    upstream, _, _ = await reach(reply(status, problem, "application/problem+json"))
    refused = await refusal(upstream, things)
    assert (refused.code, refused.http_status) == (code, status)
    assert "No good: the reason: /name is odd" in refused.message


async def test_a_problem_is_redacted_and_cut(reach, things):
    upstream, _, _ = await reach(
        reply(400, {"detail": "hush-hush " * 500}, "application/problem+json"), bearer="hush-hush"
    )
    refused = await refusal(upstream, things)
    assert len(refused.message) <= 500 and "hush" not in refused.message


@pytest.mark.parametrize("body", ["<html>", "[1]", '{"detail": 7}', "", "x" * 100_000])
async def test_a_refusal_without_a_problem_is_its_status(reach, things, body):
    upstream, _, _ = await reach(reply(400, body, "application/problem+json"))
    assert (await refusal(upstream, things)).message == "`things` answered 400"


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7.0),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("soon", 1.0),
        ("9" * 30, 86400.0),
    ],
)
async def test_a_rate_limit_says_when_to_come_back(reach, things, header, wait):
    upstream, _, _ = await reach(reply(429, {"title": "slow"}, "application/problem+json", Retry_After=header))
    refused = await refusal(upstream, things)
    assert (refused.code, refused.retry_after) == ("limited", wait)


@pytest.mark.parametrize(
    "respond",
    [
        reply(200, "{", "application/json"),
        reply(200, "{}", "text/html"),
        reply(200, '{"a": NaN}'),
        reply(200, '{"a": 1e999}'),
        reply(200, b'{"a": "\xff"}'),
        reply(200, '{"a": "\\ud800"}'),
        reply(200, "[" * 100_000),
        reply(200, "1" * 5000),
        reply(200, ""),
        reply(202, {}),
        reply(302, {}, Location="http://127.0.0.1:1/"),
        reply(200, b"\x1f\x8b", Content_Encoding="gzip"),
    ],
    ids=[
        "cut",
        "html",
        "nan",
        "infinite",
        "bytes",
        "surrogate",
        "deep",
        "digits",
        "empty",
        "undocumented",
        "redirect",
        "gzip",
    ],
)
async def test_what_was_not_promised_is_invalid(reach, things, respond):
    upstream, server, _ = await reach(respond)
    assert (await refusal(upstream, things)).code == "upstream_invalid"
    assert len(server.seen) == 1


@pytest.mark.parametrize(("extra", "accepted"), [(0, True), (1, False)])
@pytest.mark.parametrize("declared", [True, False])
async def test_an_answer_may_fill_the_cap_but_not_pass_it(reach, things, extra, accepted, declared):
    body = json.dumps("x" * (2048 - 2 + extra))

    async def respond(handler):
        handler.set_header("Content-Type", "application/json")
        handler.write(body)
        if not declared:
            await handler.flush()

    upstream, _, _ = await reach(respond, max_answer_bytes=2048)
    if accepted:
        assert (await get(upstream, things)).bytes_received == 2048
    else:
        assert (await refusal(upstream, things)).code == "upstream_invalid"


async def test_a_slow_server_meets_the_deadline(reach, things):
    released = asyncio.Event()
    upstream, _, _ = await reach(lambda handler: released.wait())
    refused = await refusal(upstream, things, deadline_seconds=0.05)
    released.set()
    assert refused.code == "deadline" and "0.05 s" in refused.message


async def test_the_settings_deadline_holds_against_a_longer_one(reach, things):
    released = asyncio.Event()
    upstream, _, _ = await reach(lambda handler: released.wait(), timeout_seconds=0.05)
    assert (await refusal(upstream, things, deadline_seconds=60)).code == "deadline"
    released.set()


async def test_a_body_that_trickles_meets_the_same_deadline(reach, things):
    released = asyncio.Event()

    async def respond(handler):
        handler.set_header("Content-Type", "application/json")
        handler.write('{"a": ')
        await handler.flush()
        await released.wait()

    upstream, _, _ = await reach(respond)
    assert (await refusal(upstream, things, deadline_seconds=0.1)).code == "deadline"
    released.set()


async def test_a_server_that_is_down_is_unavailable_and_nothing_was_sent(things):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        upstream = connect(
            "things",
            UpstreamSettings(base_url=url),
            sign=signer(KEY, lambda: NOW),
            redactor=Register(),
            clock=lambda: NOW,
        )
        refused = await refusal(upstream, things)
        await upstream.close()
    assert (refused.code, refused.sent, refused.http_status) == ("upstream_unavailable", False, 0)


async def test_a_server_that_hangs_up_may_have_acted(things):
    async def hang_up(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    upstream = connect(
        "things", UpstreamSettings(base_url=url), sign=signer(KEY, lambda: NOW), redactor=Register(), clock=lambda: NOW
    )
    refused = await refusal(upstream, things)
    await upstream.close()
    server.close()
    await server.wait_closed()
    assert (refused.code, refused.sent) == ("upstream_unavailable", True)


async def test_a_cookie_set_by_the_server_never_comes_back(reach, things):
    upstream, server, _ = await reach(reply(200, {}, Set_Cookie="tenant=acme; Path=/"))
    await get(upstream, things)
    await get(upstream, things)
    assert "Cookie" not in server.seen[1].headers


async def test_proxies_of_the_environment_are_not_used(reach, things, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    upstream, _, _ = await reach(reply(200, {}))
    assert (await get(upstream, things)).status == 200


async def test_nothing_of_an_exchange_is_logged(reach, things, caplog):
    with caplog.at_level(logging.DEBUG):
        upstream, server, _ = await reach(reply(200, {}), bearer="hush-hush")
        await get(upstream, things)
    text = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("asyncio"))
    assert "hush-hush" not in text and server.host not in text
