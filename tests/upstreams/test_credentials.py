"""The gateway's own right to call: asked for once per organisation, renewed in time, refreshed after a 401."""

import asyncio
import base64
import json
from urllib.parse import parse_qs

import pytest

from kernel_gateway.upstreams.base import Asker, UpstreamError
from kernel_gateway.upstreams.http import connect
from kernel_gateway.upstreams.settings import UpstreamSettings


class Scene:
    """A server with a token service at /token and a clock that tests turn."""

    def __init__(self):
        self.now, self.issued, self.refuse = 1000.0, 0, set()
        self.lifetime, self.token_answer, self.known = 300, None, []

    def respond(self, handler):
        handler.set_header("Content-Type", "application/json")
        if handler.request.path == "/token":
            self.issued += 1
            status, answer = self.token_answer or (
                200,
                {"access_token": f"token-{self.issued}", "expires_in": self.lifetime},
            )
            handler.set_status(status)
            handler.write(answer if isinstance(answer, str) else json.dumps(answer))
        elif handler.request.headers.get("Authorization") in self.refuse:
            handler.set_status(401)
        else:
            handler.write("{}")

    def register(self, value):
        self.known.append(value)

    def redact(self, text):
        return text


@pytest.fixture
async def scene(loopback, things):
    scene = Scene()
    server = await loopback(scene.respond)
    scene.server = server
    settings = UpstreamSettings(
        base_url=server.url,
        token_url=server.url + "/token",
        client_id="gateway",
        client_secret="s3cr3t",
        scopes=("things.read", "things.write"),
    )
    upstream = connect("things", settings, sign=lambda *_: "word", redactor=scene, clock=lambda: scene.now)

    async def call(organisation="acme"):
        asker = Asker("i", organisation, "ada", "agent", "s1", 1)
        operation = things.get("things:things_get")
        return await upstream.call(operation, {"id": "x"}, idempotency_key=None, asker=asker, deadline_seconds=5)

    scene.call, scene.upstream = call, upstream
    yield scene
    await upstream.close()


def sent(scene):
    return [request.headers["Authorization"] for request in scene.server.seen if request.path != "/token"]


async def test_the_token_request_is_client_credentials_for_one_organisation(scene):
    await scene.call()
    request = scene.server.seen[0]
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    assert form == {
        "grant_type": "client_credentials",
        "scope": "things.read things.write",
        "resource": scene.server.url,
        "organisation": "acme",
    }
    basic = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
    assert basic == "gateway:s3cr3t"


async def test_one_token_serves_many_calls_at_once_and_later(scene):
    await asyncio.gather(*(scene.call() for _ in range(8)))
    await scene.call()
    assert scene.issued == 1 and sent(scene) == ["Bearer token-1"] * 9


async def test_each_organisation_has_its_own(scene):
    await scene.call("acme")
    await scene.call("globex")
    await scene.call("acme")
    assert sent(scene) == ["Bearer token-1", "Bearer token-2", "Bearer token-1"]


@pytest.mark.parametrize(("after", "issued"), [(269.9, 1), (270.0, 2)])
async def test_it_is_renewed_half_a_minute_before_it_expires(scene, after, issued):
    await scene.call()
    scene.now += after
    await scene.call()
    assert scene.issued == issued


async def test_a_401_refreshes_it_once(scene):
    scene.refuse = {"Bearer token-1"}
    assert (await scene.call()).status == 200
    assert sent(scene) == ["Bearer token-1", "Bearer token-2"]


async def test_a_second_401_is_an_error_for_the_operator(scene):
    scene.refuse = {"Bearer token-1", "Bearer token-2"}
    with pytest.raises(UpstreamError) as refused:
        await scene.call()
    assert (refused.value.code, refused.value.http_status) == ("upstream", 401)
    assert "operator" in refused.value.message and scene.issued == 2


async def test_every_token_and_the_secret_are_registered_and_not_shown(scene):
    await scene.call()
    assert set(scene.known) == {"s3cr3t", "token-1"}
    shown = repr(scene.upstream) + repr(scene.upstream._credential) + repr(scene.upstream._settings)
    assert "s3cr3t" not in shown and "token-1" not in shown


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((401, {"error": "invalid_client"}), "upstream"),
        ((503, {}), "upstream_unavailable"),
        ((200, {}), "upstream_invalid"),
        ((200, "no"), "upstream_invalid"),
        ((200, {"access_token": "a\r\nb"}), "upstream_invalid"),
        ((302, {}), "upstream"),
    ],
)
async def test_a_token_service_that_fails_is_told_apart(scene, answer, code):
    scene.token_answer = answer
    with pytest.raises(UpstreamError) as refused:
        await scene.call()
    assert refused.value.code == code and not refused.value.sent
    assert sent(scene) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": ""},
        {"base_url": "http://things.test"},
        {"base_url": "https://user:pw@things.test"},
        {"base_url": "https://things.test?x=1"},
        {"base_url": "https://things.test", "token_url": "https://issuer.test/token"},
        {"base_url": "https://things.test", "client_secret": "x"},
        {
            "base_url": "https://t.test",
            "token_url": "https://i.test",
            "client_id": "a",
            "client_secret": "b",
            "bearer": "c",
        },
        {"base_url": "https://things.test", "token_url": "http://issuer.test"},
        {"base_url": "https://things.test", "storage_hosts": ["https://files.test"]},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings):
    with pytest.raises(ValueError):
        UpstreamSettings(**settings)
