"""No connection is opened to a host that the settings do not name, whatever leads there."""

from dataclasses import replace

import httpx2
import pytest
from pydantic import ValidationError

from kernel_gateway.upstreams.base import Asker, UpstreamError
from kernel_gateway.upstreams.client import client
from kernel_gateway.upstreams.gate import Gate, api_hosts
from kernel_gateway.upstreams.http import connect
from kernel_gateway.upstreams.settings import UpstreamSettings

ASKER = Asker("https://issuer.test", "acme", "ada", "agent", "s1", 3)


class Register:
    def register(self, value):
        """Nothing is kept."""

    def redact(self, text):
        return text


class Connections(httpx2.AsyncBaseTransport):
    """Opens none, and remembers where to."""

    def __init__(self):
        self.reached = []

    async def handle_async_request(self, request):
        self.reached.append(request.url)
        return httpx2.Response(200)


def answering(handler):
    handler.set_header("Content-Type", "application/json")
    handler.write("{}")


async def test_an_operation_whose_path_leads_to_another_host_opens_no_connection(loopback, things):
    ours, other = await loopback(answering), await loopback(answering)
    upstream = connect(
        "things",
        UpstreamSettings(base_url=ours.url),
        sign=lambda *_: "word",
        redactor=Register(),
        clock=lambda: 0.0,
    )
    harmless = things.get("things:things_get")

    async def call(path):
        return await upstream.call(
            replace(harmless, path=path), {"id": "a"}, idempotency_key=None, asker=ASKER, deadline_seconds=5.0
        )

    for path in (f"@{other.host}/{{id}}", f"x@{other.host}/{{id}}"):
        with pytest.raises(UpstreamError) as caught:
            await call(path)
        assert caught.value.sent is False, path
    await upstream.close()
    assert (ours.seen, other.seen) == ([], [])


@pytest.mark.parametrize(
    ("url", "passes"),
    [
        ("https://api.test/x", True),
        ("https://API.test:443/x", True),
        ("https://login.test:8443/token", True),
        ("https://api.test:8443/x", False),
        ("https://login.test/token", False),
        ("https://files.test/x", False),
        ("https://a@api.test/x", False),
        ("https://api.test.evil.test/x", False),
    ],
)
async def test_the_gate_lets_requests_for_the_api_and_the_token_service_through(url, passes):
    settings = UpstreamSettings(
        base_url="https://api.test",
        token_url="https://login.test:8443/token",
        client_id="a",
        client_secret="b",
        storage_hosts=("files.test",),
    )
    connections = Connections()
    http = client(max_connections=1, through=lambda _: Gate("things", api_hosts(settings), connections))
    try:
        await http.get(url)
    except UpstreamError as error:
        assert (error.code, error.sent) == ("upstream_invalid", False) and "api.test" not in error.message
    await http.aclose()
    assert bool(connections.reached) is passes


SERVER = {"base_url": "https://api.test", "storage_hosts": ("files.test:9000",)}
LOGIN = {"token_url": "https://login.test/t", "client_id": "a", "client_secret": "b"}


@pytest.mark.parametrize(
    ("allowed", "more", "missing"),
    [
        (("api.test", "files.test:9000"), {}, None),
        (("api.test", "files.test:9000", "login.test"), LOGIN, None),
        ((), LOGIN, None),
        (("api.test",), {}, "https://files.test:9000"),
        (("api.test", "files.test"), {}, "https://files.test:9000"),
        (("files.test:9000",), {}, "https://api.test"),
        (("api.test", "files.test:9000"), LOGIN, "https://login.test/t"),
    ],
)
def test_what_the_settings_name_must_be_on_the_list_of_allowed_hosts_where_there_is_one(allowed, more, missing):
    try:
        UpstreamSettings(**SERVER, **more, allowed_hosts=allowed)
    except ValidationError as error:
        assert missing and f"`{missing}` is at a host that is not in allowed_hosts" in str(error)
    else:
        assert missing is None


def test_an_allowed_host_is_a_host():
    with pytest.raises(ValidationError, match="is not a host or host:port"):
        UpstreamSettings(**SERVER, allowed_hosts=("https://api.test/x",))
