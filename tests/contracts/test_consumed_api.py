"""The API is consumed, not redefined: with a base URL in config the same flow runs against a server that is not ours.

The server is Prism, made from the OpenAPI document alone. It checks what we send and answers with the examples.
"""

import copy
import json
import socket
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from catalog.reviewed import REVIEWED, SPECS, load_served
from kernel_gateway.app import running
from kernel_gateway.auth.principal import Principal
from kernel_gateway.config import load
from kernel_gateway.sessions.result import ExecuteRequest

pytestmark = pytest.mark.node

NOW = datetime.fromisoformat("2026-11-21T10:00:00Z").timestamp()  # the examples' links are alive then
BEARER = "the-operators-static-token-for-image-ops"
STORAGE = "storage.image-ops.invalid"  # of the links in the examples
FLOW = ("uploads_init", "jobs_create", "jobs_get", "cleanup_create", "quota_get")
UPLOAD, JOB = "upl_2Zq0Xw7mT4eYc9LhRk1vBA", "job_8sVnQe3PzU5wKd0jXy6fGg"

DOCUMENT = yaml.safe_load((Path(SPECS) / "image_ops.openapi.yaml").read_text())
OPERATIONS = {
    item["operationId"]: (method.upper(), path, item)
    for path, methods in DOCUMENT["paths"].items()
    for method, item in methods.items()
}
PARAMETERS = {"jobs_get": {"id": JOB, "wait": 20}, "cleanup_create": {"idempotency_key": "contract-1"}}

SHOW = """
import json
def show(answer):
    described = lambda blob: {name: getattr(blob, name) for name in ("direction", "size", "content_type", "expires_at")}
    print(json.dumps(answer, default=described))
"""


def example(name):
    """The arguments and the answer of an operation, as the document gives them."""
    item = OPERATIONS[name][2]
    body = item.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example", {})
    (answer,) = [each for status, each in item["responses"].items() if status.startswith("2")]
    return body | PARAMETERS.get(name, {}), answer["content"]["application/json"]["example"]


class Agent:
    """One caller in one session."""

    def __init__(self, app):
        self.app, self.session_id = app, ""
        served, unreviewed = load_served(SPECS, REVIEWED)
        assert not unreviewed
        scopes = {"kernel.execute", *(operation.scope for operation in served.operations)}
        self.principal = Principal(
            "https://issuer.test", "acme", "alice", "agent", "dev", frozenset(scopes), NOW + 3600
        )  # fmt: skip

    async def run(self, code):
        result = await self.app.gateway.execute(self.principal, ExecuteRequest(code, self.session_id))
        assert result.status == "ok", result.error or result.message
        self.session_id = result.session_id
        return result


@pytest.fixture
def consuming(gateway_settings, tmp_path):
    """A gateway whose configuration file names the upstream; nothing else says which server it is."""

    @asynccontextmanager
    async def consuming(base_url, *, storage_hosts=(), bearer='bearer = "${IMAGE_OPS_TOKEN}"'):
        lines = ["[upstreams.image_ops]", f'base_url = "{base_url}"', f"storage_hosts = {[*storage_hosts]}", bearer]
        path = tmp_path / "gateway.toml"
        path.write_text("\n".join(lines))
        settings = gateway_settings(**load(path, {"IMAGE_OPS_TOKEN": BEARER}, {}))
        async with running(settings, clock=lambda: NOW) as app:
            yield Agent(app)

    return consuming


def test_the_flow_is_all_that_the_document_has():
    assert set(FLOW) == set(OPERATIONS)


def test_prism_refuses_a_request_that_is_not_as_documented(prism):
    prism.exchanges()
    request = urllib.request.Request(
        f"{prism.url}/api/cleanup", b'{"ids": []}', {"Authorization": "Bearer x", "Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request):
        pass
    refused.value.close()
    (exchange,) = prism.exchanges()
    assert exchange.status == refused.value.code == 422
    assert "idempotency-key" in str(exchange.violations)
    assert exchange.body == {"ids": []}


async def test_the_flow_gets_the_documented_answers_from_an_independent_server(prism, consuming):
    prism.exchanges()
    answers, calls = {}, []
    async with consuming(prism.url, storage_hosts=[STORAGE]) as agent:
        await agent.run(SHOW)
        for name in FLOW:
            result = await agent.run(f"show(image_ops.{name}(**{example(name)[0]!r}))")
            answers[name] = json.loads(result.stdout)
            calls += [(call.operation, call.status) for call in result.calls]
    expected = {name: copy.deepcopy(example(name)[1]) for name in FLOW}
    expected["uploads_init"]["upload_url"] = {
        "direction": "write", "size": 482113, "content_type": "image/png", "expires_at": "2026-11-21T10:15:00Z",
    }  # fmt: skip
    expected["jobs_get"]["results"][0]["url"] = {
        "direction": "read", "size": 48213, "content_type": "image/webp", "expires_at": "2026-11-21T10:15:06Z",
    }  # fmt: skip
    assert answers == expected
    assert calls == [(f"image_ops:{name}", "ok") for name in FLOW]

    exchanges = prism.exchanges()
    assert [(each.method, each.path) for each in exchanges] == [
        (method, path.replace("{id}", JOB)) for method, path, _ in map(OPERATIONS.get, FLOW)
    ]
    assert [each.violations for each in exchanges] == [[]] * len(FLOW)
    for name, exchange in zip(FLOW, exchanges, strict=True):
        assert str(exchange.status) in OPERATIONS[name][2]["responses"]
        assert exchange.status < 300
        parameters = PARAMETERS.get(name, {})
        assert (exchange.body or {}) == {
            each: value for each, value in example(name)[0].items() if each not in parameters
        }
        assert exchange.headers["authorization"] == f"Bearer {BEARER}"
        assert exchange.headers["x-gateway-asker"].count(".") == 2
        assert ("idempotency-key" in exchange.headers) == (exchange.method == "POST")
        assert exchange.headers.get("idempotency-key") != "contract-1"  # keys of two callers cannot meet


async def test_everything_the_document_allows_is_sent_as_documented(prism, consuming):
    largest = DOCUMENT["components"]["schemas"]["UploadInit"]["properties"]["size_bytes"]["maximum"]
    steps = [
        {"op": "resize", "width": 16384, "height": 1, "fit": "contain", "enlarge": True, "background": "#00ffAA"},
        {"op": "crop", "width": 10, "height": 10, "x": 0, "y": 16383, "gravity": "north"},
        {"op": "convert", "format": "avif", "background": "#000000"},
        {"op": "compress", "quality": 1, "max_bytes": 1024},
        {"op": "rotate", "degrees": 270, "flip": "vertical"},
        {"op": "watermark", "text": "© Ærø 写真 \U0001f5bc", "position": "north_west", "opacity": 0.25, "scale": 1},
        {"op": "watermark", "upload_id": UPLOAD, "color": "#ffffff"},
        {"op": "strip_metadata", "keep_icc": False},
    ]
    bodies = {
        "uploads_init": {
            "filename": 'Ærø "1" & 50%.jpeg', "content_type": "image/jpeg", "size_bytes": largest,
            "checksum_sha256": "0" * 64, "ttl_seconds": 60,
        },
        "jobs_create": {"upload_id": UPLOAD, "operations": steps, "ttl_seconds": 86400},
        "cleanup_create": {"ids": [f"job_{number:08}" for number in range(100)], "dry_run": True},
    }  # fmt: skip
    prism.exchanges()
    async with consuming(prism.url, storage_hosts=[STORAGE]) as agent:
        for name, body in bodies.items():
            await agent.run(f"image_ops.{name}(**{body!r}, idempotency_key='!~' + 'k' * 253)")
        await agent.run(f"image_ops.jobs_get(id='job_' + '-_aZ09' * 10, wait=0), image_ops.jobs_get(id={JOB!r})")
    exchanges = prism.exchanges()
    assert [each.violations for each in exchanges] == [[]] * 5
    assert [each.body for each in exchanges] == [*bodies.values(), None, None]
    assert [each.status for each in exchanges] == [201, 202, 200, 200, 200]


@pytest.mark.parametrize(
    ("storage_hosts", "instead"),
    [([STORAGE], "$blob"), ([], "[redacted]"), (["elsewhere.invalid"], "[redacted]")],
    ids=["storage host configured", "no storage host", "another storage host"],
)
async def test_no_link_enters_the_kernel(prism, consuming, storage_hosts, instead):
    """Looks at the answers as they come out of the sixth channel, before the client has made anything of them."""
    calls = [(f"image_ops:{name}", example(name)[0]) for name in FLOW]
    code = f"""
import json
from kernel_ext.channel import attached
from kernel_ext.wire import Kind
came = [attached().request(Kind.CALL, {{"operation": name, "arguments": given}}) for name, given in {calls!r}]
print(json.dumps([message.head for message in came]), b"".join(message.body for message in came))
"""
    async with consuming(prism.url, storage_hosts=storage_hosts) as agent:
        result = await agent.run(code)
    assert result.stdout.count(instead) == 2  # the link to write and the link to read
    for piece in ("://", "image-ops.invalid", "obj_example", BEARER, prism.url.partition("://")[2]):
        assert piece not in result.stdout
    assert UPLOAD in result.stdout


@pytest.fixture
def closed_port():
    """A port that nothing listens on, and that nobody else gets while the test runs."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


CATCH = """
try:
    image_ops.quota_get()
except ToolError as error:
    print(error.code, error.message, sep=": ")
"""


async def test_a_base_url_where_nothing_listens_is_an_error_the_cell_can_catch(consuming, closed_port):
    async with consuming(f"http://127.0.0.1:{closed_port}") as agent:
        result = await agent.run(CATCH)
    assert result.stdout == "upstream_unavailable: `image_ops` cannot be reached; try again later\n"
    assert [(call.operation, call.status) for call in result.calls] == [("image_ops:quota_get", "upstream_unavailable")]


async def test_a_base_url_with_a_wrong_path_is_an_error_the_cell_can_catch(prism, consuming):
    async with consuming(f"{prism.url}/elsewhere") as agent:
        result = await agent.run(CATCH)
    assert result.stdout.startswith("not_found: `image_ops` answered 404")


async def test_a_missing_credential_is_an_error_the_cell_can_catch(prism, consuming):
    async with consuming(prism.url, bearer="") as agent:
        result = await agent.run(CATCH)
    assert result.stdout == "upstream: `image_ops` refused the gateway's own credential; tell an operator\n"
