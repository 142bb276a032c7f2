"""`/v1/sessions` over real HTTP: one's own, another's, and without the scope."""

import json

import pytest

from kernel_gateway.frontends.rest import MAX_FLAG_CHARACTERS, MAX_FLAGS

ROUTES = [
    ("GET", "/v1/sessions", "kernel.read", 200),
    ("POST", "/v1/sessions", "kernel.create", 201),
    ("GET", "/v1/sessions/s1", "kernel.read", 200),
    ("GET", "/v1/sessions/s1/transcript", "kernel.read", 200),
    ("GET", "/v1/sessions/s1/notebook", "kernel.read", 200),
    ("POST", "/v1/sessions/s1/interrupt", "kernel.execute", 204),
    ("DELETE", "/v1/sessions/s1", "kernel.delete", 204),
]


@pytest.fixture
async def service(serve, tokens):
    service = await serve()
    service.gateway.owners = {"s1": tokens.principals["alice-token"].identity}
    return service


@pytest.mark.parametrize(("method", "path", "scope", "status"), ROUTES)
async def test_the_owner_with_the_one_scope_is_served(service, narrowed, method, path, scope, status):
    token = narrowed("alice-token", "one", {scope})
    answer = await service.http.request(method, path, headers=service.headers(token))
    assert answer.status_code == status
    if status == 204:
        assert answer.content == b""


@pytest.mark.parametrize(("method", "path", "scope", "status"), ROUTES)
async def test_every_other_scope_is_not_enough(service, narrowed, method, path, scope, status):
    others = {"kernel.search", "kernel.execute", "kernel.read", "kernel.create", "kernel.delete", "kernel.admin"} - {
        scope
    }
    token = narrowed("alice-token", "others", others)
    answer = await service.http.request(method, path, headers=service.headers(token))
    assert (answer.status_code, answer.json()["code"]) == (403, "denied")
    assert f'scope="{scope}"' in answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert service.gateway.calls == []


@pytest.mark.parametrize(("method", "path"), [route[:2] for route in ROUTES if "s1" in route[1]])
@pytest.mark.parametrize("other", [{"subject": "bob"}, {"organisation": "umbrella"}, {"client": "x"}, {"issuer": "i"}])
async def test_anothers_session_is_not_found_and_looks_like_one_that_never_was(service, tokens, method, path, other):
    tokens.add("other", **other)
    answer = await service.http.request(method, path, headers=service.headers("other"))
    never = await service.http.request(method, path.replace("s1", "s0"), headers=service.headers("other"))
    assert answer.status_code == never.status_code == 404
    assert answer.text == never.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "no such session, or not yours; GET /v1/sessions lists yours"
    assert service.gateway.owners.keys() == {"s1"}


async def test_a_list_shows_ones_own_sessions_only(service, tokens):
    tokens.add("bob", subject="bob")
    mine = await service.http.get("/v1/sessions", headers=service.headers())
    his = await service.http.get("/v1/sessions", headers=service.headers("bob"))
    assert (mine.json(), his.json()) == ({"sessions": [{"session_id": "s1"}]}, {"sessions": []})


async def test_a_transcript_is_one_object_a_line(service):
    answer = await service.http.get("/v1/sessions/s1/transcript", headers=service.headers())
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == [
        {"kind": "SessionOpened"},
        {"kind": "CellRan", "cell": 1, "text": "é\u2028"},
    ]


async def test_a_deleted_session_is_gone(service):
    await service.http.delete("/v1/sessions/s1", headers=service.headers())
    assert (await service.http.get("/v1/sessions/s1", headers=service.headers())).status_code == 404


async def test_an_interrupt_reaches_the_gateway_as_its_caller(service):
    await service.http.post("/v1/sessions/s1/interrupt", headers=service.headers())
    assert service.gateway.calls == [("interrupt", "alice", "s1")]


@pytest.mark.parametrize(
    ("session_id", "known"), [("x" * 128, True), ("x" * 129, False), ("a.b", False), ("a%2fb", False)]
)
async def test_what_is_no_session_id_does_not_reach_the_gateway(service, session_id, known):
    assert (await service.http.get(f"/v1/sessions/{session_id}", headers=service.headers())).status_code == 404
    assert bool(service.gateway.calls) is known


@pytest.fixture
def creator(tokens):
    return tokens.add("creator", scopes={"kernel.create"})


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("", []),
        ("{}", []),
        ('{"delegate": []}', []),
        ('{"delegate": ["delegate_images", "x"]}', ["delegate_images", "x"]),
        (json.dumps({"delegate": ["f" * MAX_FLAG_CHARACTERS] * MAX_FLAGS}), ["f" * MAX_FLAG_CHARACTERS] * MAX_FLAGS),
    ],
)
async def test_a_session_is_made_with_the_flags_of_the_body(service, creator, body, wanted):
    answer = await service.http.post("/v1/sessions", headers=service.headers(creator), content=body)
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/sessions/s2"
    assert answer.json() == {"session_id": "s2", "scopes": [], "delegate": [], "skipped": wanted}
    assert service.gateway.calls == [("create_session", "alice", wanted)]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("[]", "the body"),
        ("not JSON", "delegate_images"),
        ("[" * 9_000, "delegate_images"),
        ('{"delegate": "delegate_images"}', "delegate"),
        ('{"delegate": [1]}', "delegate.0"),
        ('{"delegate": [""]}', "delegate.0"),
        ('{"scopes": ["kernel.approve"]}', "scopes"),
        (json.dumps({"delegate": ["f" * (MAX_FLAG_CHARACTERS + 1)]}), "delegate.0"),
        (json.dumps({"delegate": ["f"] * (MAX_FLAGS + 1)}), "delegate"),
    ],
)
async def test_a_body_that_cannot_be_meant_makes_no_session(service, creator, body, told):
    answer = await service.http.post("/v1/sessions", headers=service.headers(creator), content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert told in answer.json()["detail"] and "\n" not in answer.json()["detail"]
    assert service.gateway.calls == []
