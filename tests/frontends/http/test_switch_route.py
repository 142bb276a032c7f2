"""`/v1/switch` over real HTTP: who may, what a body says, and what is wrong with one."""

import pytest


@pytest.fixture
async def service(serve):
    return await serve()


@pytest.fixture
def admin(service, narrowed):
    return service.headers(narrowed("alice-token", "admin", {"kernel.admin"}))


async def test_an_operator_sees_what_is_off(service, admin):
    answer = await service.http.get("/v1/switch", headers=admin)
    assert (answer.status_code, answer.json()) == (200, {"execute": "on", "off": []})
    assert service.gateway.calls == [("switch", "alice", "rest")]


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_without_the_scope_it_is_denied_whatever_else_the_token_has(service, narrowed, method):
    scopes = {"kernel.search", "kernel.execute", "kernel.read", "kernel.delete", "kernel.create", "kernel.approve"}
    headers = service.headers(narrowed("alice-token", "others", scopes))
    answer = await service.http.request(method, "/v1/switch", headers=headers, json={"execute": "off"})
    assert (answer.status_code, answer.json()["code"]) == (403, "denied")
    assert 'scope="kernel.admin"' in answer.headers["www-authenticate"]
    assert service.gateway.calls == []


@pytest.mark.parametrize(
    ("body", "part", "name", "off", "reason"),
    [
        ({"execute": "off"}, "all", "", True, ""),
        ({"execute": "on"}, "all", "", False, ""),
        ({"execute": "off", "reason": "a drill"}, "all", "", True, "a drill"),
        ({"execute": "off", "server": "image_ops"}, "server", "image_ops", True, ""),
        ({"execute": "off", "operation": "image_ops:jobs_create"}, "operation", "image_ops:jobs_create", True, ""),
        ({"execute": "off", "role": "dev"}, "role", "dev", True, ""),
        ({"execute": "on", "front_end": "mcp"}, "front_end", "mcp", False, ""),
    ],
)
async def test_a_body_says_what_to_switch(service, admin, body, part, name, off, reason):
    answer = await service.http.put("/v1/switch", headers=admin, json=body)
    assert answer.status_code == 200
    assert service.gateway.calls == [("set_switch", "alice", part, name, off, reason)]


async def test_a_body_of_more_values_than_are_read_is_refused_and_switches_nothing(service, admin):
    answer = await service.http.put("/v1/switch", headers=admin, content="[" * 100_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert service.gateway.calls == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "send JSON such as"),
        ("{", "send JSON such as"),
        ("[" * 5_000, "send JSON such as"),
        ("[]", "`the body`"),
        ("{}", "`execute`: field required"),
        ('{"execute": "of"}', "`execute`"),
        ('{"execute": true}', "`execute`"),
        ('{"execute": "off", "sever": "image_ops"}', "`sever`"),
        ('{"execute": "off", "server": ""}', "`server` is empty"),
        ('{"execute": "off", "server": null}', "`server`"),
        ('{"execute": "off", "server": "a", "role": "b"}', "name one of"),
    ],
)
async def test_a_body_that_cannot_be_meant_is_invalid_and_switches_nothing(service, admin, body, says):
    answer = await service.http.put("/v1/switch", headers=admin, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert answer.json()["detail"].startswith(says)
    assert service.gateway.calls == []
