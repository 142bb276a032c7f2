"""What every route does before anything runs: names, origins, tokens; and what it says when it refuses."""

import asyncio
import logging
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.errors import CODES, GatewayError
from kernel_gateway.frontends.challenge import METADATA_PATH, bearer, call_in, challenge
from kernel_gateway.frontends.origin import host_allowed, origin_allowed

ROUTES = [
    ("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp"), ("GET", "/v1/sessions"), ("GET", "/v1/sessions/s1"),
    ("DELETE", "/v1/sessions/s1"), ("GET", "/v1/sessions/s1/transcript"), ("POST", "/v1/sessions/s1/interrupt"),
]  # fmt: skip
PUBLIC = [
    ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/.well-known/oauth-protected-resource"),
    ("GET", "/.well-known/oauth-protected-resource/mcp"),
]  # fmt: skip
EVERYWHERE = [*ROUTES, *PUBLIC, ("GET", "/nowhere")]


@pytest.fixture
async def service(serve):
    return await serve()


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "127.0.0.1:x", "169.254.169.254"]
)
async def test_a_request_by_another_name_is_misdirected_on_every_route(service, method, path, host):
    answer = await service.http.request(method, path, headers=service.headers(Host=host))
    # a Host that is not one at all is refused below us, without a word
    assert answer.status_code == 421 or (host == "127.0.0.1:x" and answer.status_code == 400)
    assert service.gateway.calls == service.tokens.asked == []


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost.evil.example", "file://", "http://127.0.0.1@evil.example"],
)
async def test_a_page_of_another_origin_is_refused_on_every_route(service, method, path, origin):
    answer = await service.http.request(method, path, headers=service.headers(Origin=origin))
    assert (answer.status_code, answer.json()["code"]) == (403, "denied")
    assert "www-authenticate" not in answer.headers
    assert service.gateway.calls == service.tokens.asked == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8888", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8888"])
@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "https://127.0.0.1", "http://[::1]:80"])
async def test_loopback_names_are_served_by_default(service, host, origin):
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    assert (await service.http.get("/healthz", headers=headers)).status_code == 200


async def test_the_operators_lists_replace_the_defaults(serve):
    service = await serve(allowed_hosts=["kernels.example", "k.example:8443"], allowed_origins=["https://ui.example"])

    async def status(**headers):
        return (await service.http.get("/healthz", headers=headers)).status_code

    assert await status(Host="kernels.example") == 200
    assert await status(Host="k.example:8443") == 200
    assert await status(Host="kernels.example:8443") == 421
    assert await status(Host="k.example") == 421
    assert await status(Host="localhost") == 421
    assert await status(Host="kernels.example", Origin="https://ui.example") == 200
    assert await status(Host="kernels.example", Origin="http://ui.example") == 403
    assert await status(Host="kernels.example", Origin="https://ui.example:444") == 403


@given(st.text(max_size=40))
def test_no_text_but_a_listed_name_is_allowed(text):
    for allowed in (["gate.example"], ["gate.example:*"], ["gate.example:80"]):
        if host_allowed(text, allowed):
            assert text.lower().partition(":")[0] == "gate.example"
        if origin_allowed(text, [f"https://{each}" for each in allowed]):
            assert text.lower().removeprefix("https://").partition(":")[0] == "gate.example"


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_credentials_there_is_a_challenge_and_no_error(service, method, path):
    answer = await service.http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    header = answer.headers["www-authenticate"]
    suffix = "/mcp" if path == "/mcp" else ""
    assert header.startswith('Bearer scope="kernel.')
    assert header.endswith(f'resource_metadata="{service.url}/.well-known/oauth-protected-resource{suffix}"')
    assert "error" not in header
    if path == "/mcp":
        assert 'scope="kernel.search kernel.execute"' in header
    assert [(error.code, who) for error, who in service.refusals] == [("unauthenticated", None)]


@pytest.mark.parametrize("value", ["Basic YWxpY2U6cHc=", "alice-token", "Token alice-token", "", "Bearerx alice-token"])
async def test_another_scheme_is_no_credentials(service, value):
    answer = await service.http.get("/v1/sessions", headers={"Authorization": value})
    assert answer.status_code == 401
    assert "error" not in answer.headers["www-authenticate"]
    assert service.tokens.asked == []


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer a b", "Bearer alice-token,Bearer alice-token", 'Bearer "x"', "Bearer  =", "Bearer wrong"],
)
async def test_a_bearer_header_that_is_wrong_is_an_invalid_token(service, value):
    answer = await service.http.get("/v1/sessions", headers={"Authorization": value})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token", error_description="')
    assert service.gateway.calls == []


async def test_two_authorization_headers_are_not_one(service):
    headers = [("Authorization", "Bearer alice-token"), ("Authorization", "Bearer alice-token")]
    assert (await service.http.get("/v1/sessions", headers=headers)).status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_not_case_sensitive(service, scheme):
    answer = await service.http.get("/v1/sessions", headers={"Authorization": f"{scheme} alice-token"})
    assert answer.status_code == 200


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
@pytest.mark.parametrize("name", ["token", "access_token", "Access_Token", "%74oken"])
async def test_a_token_in_the_url_is_refused_and_not_logged(service, caplog, method, path, name):
    with caplog.at_level(logging.DEBUG):
        answer = await service.http.request(method, f"{path}?{name}=alice-token", headers=service.headers())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert "alice-token" not in answer.text
    records = [record for record in caplog.records if not record.name.startswith(("httpx2", "httpcore"))]
    assert records
    assert not any("alice-token" in record.getMessage() for record in records)


async def test_a_cookie_or_a_form_field_carries_no_authority_and_none_is_set(service):
    for headers, data in (
        ({"Cookie": "access_token=alice-token; token=alice-token"}, None),
        ({}, {"access_token": "alice-token"}),
    ):
        answer = await service.http.request("POST", "/v1/sessions/s1/interrupt", headers=headers, data=data)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
    assert service.tokens.asked == []


@pytest.mark.parametrize(("path", "resource"), [("", ""), ("/mcp", "/mcp")])
async def test_the_metadata_names_the_url_the_client_used(service, path, resource):
    for host in (f"127.0.0.1:{service.port}", f"LocalHost:{service.port}"):
        answer = await service.http.get(f"/.well-known/oauth-protected-resource{path}", headers={"Host": host})
        assert answer.json() == {
            "resource": f"http://{host.lower()}{resource}",
            "authorization_servers": ["https://as.example"],
            "scopes_supported": ["kernel.search", "kernel.execute"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Kernel Gateway",
        }


async def test_the_forwarded_scheme_counts_only_behind_a_proxy(serve):
    async def resource(service, **headers):
        answer = await service.http.get(
            "/.well-known/oauth-protected-resource", headers={"Host": "localhost"} | headers
        )
        return answer.json()["resource"]

    alone, behind = await serve(), await serve(behind_tls_proxy=True)
    https, http = {"X-Forwarded-Proto": "https"}, {"X-Forwarded-Proto": "http"}
    assert await resource(alone, **https) == "http://localhost"
    assert await resource(behind, **https) == "https://localhost"
    assert await resource(behind) == "https://localhost"
    assert await resource(behind, **http) == "http://localhost"
    assert await resource(behind, **{"X-Forwarded-Host": "evil.example"}) == "https://localhost"


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer alice-token"}, {"Host": "evil.example"}])
async def test_every_answer_has_the_security_headers(service, method, path, headers):
    answer = await service.http.request(method, path, headers=headers)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "server" not in answer.headers
    assert "etag" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nowhere",
        "/v1",
        "/v1/sessions/",
        "/mcp/",
        "/mcp/other",
        "/v1/sessions/a/b/c",
        "/v1/sessions/%2e%2e",
        "/V1/sessions",
    ],
)
async def test_an_unknown_path_is_a_problem_document(service, path):
    answer = await service.http.get(path, headers=service.headers())
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["title"]) == (404, "not_found", "Not Found")
    assert all(route in problem["detail"] for route in ("/mcp", "/v1/sessions", "/healthz", "/readyz", METADATA_PATH))
    assert set(problem) == {"type", "title", "status", "detail", "code"}


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("PUT", "/v1/sessions", "GET, POST"), ("POST", "/v1/sessions/s1", "GET, DELETE"),
     ("GET", "/v1/sessions/s1/interrupt", "POST"),
     ("PUT", "/mcp", "GET, POST, DELETE"), ("BREW", "/mcp", "GET, POST, DELETE"), ("POST", "/healthz", "GET")],
)  # fmt: skip
async def test_a_method_a_path_does_not_take_is_405(service, method, path, allow):
    answer = await service.http.request(method, path, headers=service.headers())
    assert (answer.status_code, answer.headers["allow"], answer.json()["code"]) == (405, allow, "invalid")


@pytest.mark.parametrize("code", CODES)
async def test_each_code_has_its_status(service, code):
    service.gateway.failure = GatewayError(code, "no; do something else", retry_after=1.2)
    answer = await service.http.get("/v1/sessions", headers=service.headers())
    assert answer.status_code == CODES[code].http
    assert answer.json()["code"] == code
    assert answer.json()["detail"] == "no; do something else"
    assert (answer.headers["retry-after"], answer.json()["retry_after"]) == ("2", 1.2)


async def test_a_crash_shows_an_event_id_and_nothing_else(service, caplog):
    service.gateway.failure = RuntimeError("secret alice-token in a message")
    with caplog.at_level(logging.DEBUG):
        answer = await service.http.get("/v1/sessions/s1", headers=service.headers())
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert answer.json()["detail"] == "internal error; tell the operator the event id `event-1`"
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("kernel_gateway"))
    assert "event event-1 in /v1/sessions/{id}: RuntimeError\n" in logged
    assert "conftest.py" in logged
    assert "secret" not in caplog.text


async def test_the_access_log_holds_nothing_a_caller_typed(service, caplog):
    with caplog.at_level(logging.INFO, logger="kernel_gateway.access"):
        await service.http.get("/v1/sessions/eyJsecret?q=hunter2", headers=service.headers())
        await service.http.get("/eyJsecret", headers=service.headers())
        await service.http.request("SECRET", "/healthz")
    messages = [record.getMessage().rpartition(" ")[0].rpartition(" ")[0] for record in caplog.records]
    assert messages == ["404 GET /v1/sessions/{id}", "404 GET -", "405 - /healthz"]


async def test_a_header_that_cannot_be_read_is_not_quoted_in_the_log(service, caplog):
    with caplog.at_level(logging.DEBUG), socket.create_connection(("127.0.0.1", service.port)) as raw:
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(raw, b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer hunter2\x01\r\n\r\n")
        assert b" 400 " in await loop.sock_recv(raw, 1000)
    assert "malformed HTTP message" in caplog.text
    assert "hunter2" not in caplog.text


async def test_the_body_cap_holds_on_both_sides(serve):
    service = await serve(max_body_bytes=2048)
    for size, status in ((2048, 204), (2049, 413), (4096, 413)):
        answer = await service.http.post("/mcp", content=b"x" * size, headers=service.headers())
        assert answer.status_code == status
    assert answer.json()["code"] == "too_large"


async def test_a_body_of_many_small_values_is_refused_before_it_is_parsed(serve):
    service = await serve(max_body_values=1000)
    for commas, status in ((999, 204), (1000, 413)):
        body = b"[" + b"0," * commas + b"0]"
        assert (await service.http.post("/mcp", content=body, headers=service.headers())).status_code == status
    text = b'["' + b"[]," * 5000 + b'"]'
    assert (await service.http.post("/mcp", content=text, headers=service.headers())).status_code == 204


async def test_health_and_readiness_need_no_token(service):
    assert (await service.http.get("/healthz")).json() == {"status": "ok"}
    assert (await service.http.get("/readyz")).json() == {"ready": True, "reasons": []}
    service.gateway.is_ready = (False, ["the sandbox probes failed"])
    answer = await service.http.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "reasons": ["the sandbox probes failed"]})


@given(st.binary(max_size=200))
def test_any_body_is_read_without_an_exception(body):
    call_in(body)


@given(st.text(max_size=60))
def test_a_bearer_header_yields_a_token_without_spaces_or_a_refusal(header):
    try:
        token = bearer(header)
    except GatewayError as error:
        assert error.code == "unauthenticated"
    else:
        assert token.isascii()
        assert not any(character in token for character in ' \t\r\n,"')


def test_a_challenge_cannot_be_broken_out_of():
    header = challenge(GatewayError("unauthenticated", 'a " and a \\ in it'), ["a"], "http://localhost/x")
    assert header == (
        'Bearer error="invalid_token", error_description="a \' and a  in it", scope="a", '
        'resource_metadata="http://localhost/x"'
    )


def test_a_refusal_that_credentials_cannot_mend_has_no_challenge():
    assert challenge(GatewayError("denied", "no"), ["a"], "http://localhost/x") is None
    assert challenge(GatewayError("disabled", "no"), ["a"], "http://localhost/x") is None
