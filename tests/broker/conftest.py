"""A broker in front of a real HTTP server on loopback that answers as each test says."""

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import tornado.web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from catalog import Catalog
from kernel_ext.wire import Kind, Message
from kernel_gateway.audit.redact import Redactor
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Account, Broker, Cell
from kernel_gateway.handles import Handles
from kernel_gateway.limits.effects import Effects
from kernel_gateway.limits.meter import meter
from kernel_gateway.limits.settings import LimitSettings
from kernel_gateway.policy.authorizer import baseline_authorizer
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.store.database import Database
from kernel_gateway.store.vault import Vault
from kernel_gateway.upstreams.http import connect
from kernel_gateway.upstreams.settings import UpstreamSettings

SCOPES = frozenset({"files.write", "files.read", "files.delete", "kernel.search"})


def operation(name, method, effect, scope, answer, body=None, parameters=(), status="200"):
    text = {
        "operationId": name,
        "x-effect": effect,
        "summary": f"{name.replace('_', ' ')} of the store",
        "security": [{"oauth": [scope]}],
        "parameters": list(parameters),
        "responses": {status: {"description": "done", "content": {"application/json": {"schema": answer}}}},
    }
    if body is not None:
        text["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return {method: text}


URL = {"type": "string", "x-sensitive": "signed-url"}
KEY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255}}
UPLOAD = {
    "type": "object",
    "required": ["upload_url"],
    "properties": {"upload_url": URL, "method": {"type": "string"}, "headers": {"type": "object"}},
}
FILE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "results": {
            "type": "array",
            "items": {"type": "object", "properties": {"url": URL, "size_bytes": {"type": "integer"}}},
        },
    },
}
NEW = {
    "type": "object",
    "additionalProperties": False,
    "required": ["content_type", "size_bytes"],
    "properties": {
        "content_type": {"enum": ["image/png", "image/jpeg"]},
        "size_bytes": {"type": "integer", "minimum": 1},
        "steps": {
            "type": "array",
            "items": {
                "oneOf": [
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["op", "width"],
                        "properties": {
                            "op": {"const": "resize"},
                            "width": {"type": "integer", "minimum": 1},
                            "fit": {"enum": ["contain", "cover", "fill", "inside"]},
                        },
                    },
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["op"],
                        "properties": {"op": {"const": "strip"}},
                    },
                ]
            },
        },
    },
}
MODE = {"enum": [f"choice-{number:02}" for number in range(99)]}
IDENTITY = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Store", "version": "1"},
    "paths": {
        "/files": operation("files_create", "post", "write", "files.write", UPLOAD, NEW, [KEY], "201"),
        "/files/{id}": operation("files_get", "get", "read", "files.read", FILE, None, [IDENTITY]),
        "/wipe": operation(
            "files_delete",
            "post",
            "delete",
            "files.delete",
            {},
            {"type": "object", "properties": {"ids": {}}},
            [KEY | {"required": True}],
        ),
        "/touch": operation(
            "files_touch",
            "post",
            "write",
            "files.write",
            {},
            {"type": "object", "properties": {"id": {}, "mode": MODE}},
        ),
        "/secret": operation("vault_open", "get", "read", "vault.open", {}),
    },
}


@dataclass
class Loopback:
    port: int
    respond: object = None
    stop: object = None
    seen: list = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
async def server():
    sockets = bind_sockets(0, "127.0.0.1")
    world = Loopback(sockets[0].getsockname()[1])

    class Handler(tornado.web.RequestHandler):
        def compute_etag(self):
            return None

        async def answer(self, *_):
            world.seen.append(self.request)
            result = world.respond(self)
            if asyncio.iscoroutine(result):
                await result

        get = put = post = delete = answer

    http = HTTPServer(tornado.web.Application([(r".*", Handler)], log_function=lambda _: None))
    http.add_sockets(sockets)
    world.stop = http.stop
    yield world
    http.stop()
    await http.close_all_connections()


class Scene(SimpleNamespace):
    """A session with a running cell before a broker; `events` is what the journal was told."""

    def record(self, event):
        self.events.append(event)

    def answers(self, body, status=200, **headers):
        def respond(handler):
            handler.set_status(status)
            handler.set_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
            for name, value in headers.items():
                handler.set_header(name.replace("_", "-"), value)
            handler.write(body if isinstance(body, str | bytes) else json.dumps(body))

        self.server.respond = respond

    async def ask(self, kind, head, body=b"", cell="running", account=None):
        message = Message(kind, next(self.ids), head, body)
        reply = await self.broker.answer(message, account or self.account, self.cell if cell == "running" else cell)
        assert reply.id == message.id and reply.kind in (Kind.RESULT, Kind.ERROR)
        return reply

    async def call(self, name, cell="running", /, **arguments):
        reply = await self.ask(Kind.CALL, {"operation": f"store:{name}", "arguments": arguments}, cell=cell)
        assert reply.kind is Kind.RESULT, reply.head
        return reply.head["value"]

    async def refused(self, name, cell="running", /, **arguments):
        reply = await self.ask(Kind.CALL, {"operation": f"store:{name}", "arguments": arguments}, cell=cell)
        assert reply.kind is Kind.ERROR, reply.head
        assert "\n" not in reply.head["message"] and self.server.host not in reply.head["message"]
        return reply.head

    def next_cell(self, **principal):
        self.cell = Cell(Principal(**(self.identity | principal)), "s1", self.cell.number + 1, "cell-n")
        return self.cell


@pytest.fixture
async def scene(server, tmp_path):
    async with _scene(server, tmp_path) as made:
        yield made


@pytest.fixture
async def scene_with(server, tmp_path):
    """scene_with(limits={...}, upstream={...}, policy={...})"""
    opened = []

    async def make(limits=None, upstream=None, policy=None):
        context = _scene(server, tmp_path, limits, upstream, policy)
        opened.append(context)
        return await context.__aenter__()

    yield make
    for context in opened:
        await context.__aexit__(None, None, None)


class Secrets:
    def secret(self, name):
        return name.encode().ljust(32)


class _scene:  # noqa: N801 - reads as a verb at its use
    def __init__(self, server, folder, limits=None, upstream=None, policy=None):
        self.folder = folder
        self.server, self.limits, self.upstream = server, LimitSettings(**limits or {}), upstream or {}
        self.policy = PolicySettings(**{"auto_approve_risk": "critical", **(policy or {})})

    async def __aenter__(self):
        scene = Scene(events=[], now=1000.0, ids=itertools.count(1), server=self.server)
        scene.identity = {
            "issuer": "https://issuer.test",
            "organisation": "acme",
            "subject": "ada",
            "client": "agent",
            "role": "dev",
            "scopes": SCOPES,
            "expires_at": 2000.0,
        }
        tokens = itertools.count(1)
        scene.tokens = lambda size: f"{next(tokens):0{2 * size}x}"
        scene.redactor = Redactor(())
        settings = {"storage_hosts": (self.server.host, "files.test"), "allow_private_addresses": True} | self.upstream
        scene.upstream = connect(
            "store",
            UpstreamSettings(base_url=self.server.url, **settings),
            sign=lambda *_: "word",
            redactor=scene.redactor,
            clock=lambda: scene.now,
        )
        scene.handles = Handles(lambda: scene.now, scene.tokens)
        scene.database = Database(self.folder / "gateway.db")
        scene.vault = Vault(scene.database, Secrets())
        scene.effects = Effects(scene.database, scene.vault, lambda: scene.now, self.limits.effect_retention_seconds)
        scene.meter = meter(self.limits, scene.database, lambda: scene.now)
        catalog = Catalog.from_openapi(DOCUMENT, "store")
        scene.broker = Broker(
            catalog,
            baseline_authorizer(
                catalog, self.limits.max_calls_per_cell, self.limits.max_calls_per_session, self.policy
            ),
            {"store": scene.upstream},
            scene.handles,
            scene,
            scene.redactor,
            self.limits,
            scene.meter,
            b"s" * 32,
            lambda: scene.now,
            scene.tokens,
            scene.effects,
        )
        await scene.broker.recover()
        scene.account = Account("s1", "acme")
        scene.cell = Cell(Principal(**scene.identity), "s1", 1, "cell-1")
        self.made = scene
        return scene

    async def __aexit__(self, *_):
        await self.made.upstream.close()
        await self.made.meter.close()
        await self.made.database.close()
