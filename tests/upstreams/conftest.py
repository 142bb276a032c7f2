"""A real HTTP server on loopback that behaves as each test says, and operations that speak to it."""

import asyncio
from dataclasses import dataclass, field

import pytest
import tornado.web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from catalog import Catalog

DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Things", "version": "1"},
    "paths": {
        "/things/{id}": {
            "get": {
                "operationId": "things_get",
                "x-effect": "read",
                "security": [{"oauth": ["things.read"]}],
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "deep", "in": "query", "schema": {"type": "boolean"}},
                    {"name": "X-Note", "in": "header", "schema": {"type": "string"}},
                ],
                "responses": {"200": {"description": "it", "content": {"application/json": {"schema": {}}}}},
            }
        },
        "/things": {
            "post": {
                "operationId": "things_create",
                "x-effect": "write",
                "security": [{"oauth": ["things.write"]}],
                "parameters": [{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {"type": "object", "properties": {"name": {"type": "string"}, "from": {}}}
                        }
                    },
                },
                "responses": {"201": {"description": "made", "content": {"application/json": {"schema": {}}}}},
            }
        },
    },
}


@dataclass
class Loopback:
    """`respond` is called with the request's handler; `seen` holds what arrived."""

    port: int
    respond: object = None
    seen: list = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
async def loopback():
    servers = []

    async def start(respond, ssl_options=None) -> Loopback:
        sockets = bind_sockets(0, "127.0.0.1")
        world = Loopback(sockets[0].getsockname()[1], respond)

        class Handler(tornado.web.RequestHandler):
            def compute_etag(self):
                return None

            async def answer(self, *_):
                world.seen.append(self.request)
                result = world.respond(self)
                if asyncio.iscoroutine(result):
                    await result

            get = put = post = delete = answer

        server = HTTPServer(
            tornado.web.Application([(r".*", Handler)], log_function=lambda _: None), ssl_options=ssl_options
        )
        server.add_sockets(sockets)
        servers.append(server)
        return world

    yield start
    for server in servers:
        server.stop()
        await server.close_all_connections()


@pytest.fixture(scope="session")
def things() -> Catalog:
    return Catalog.from_openapi(DOCUMENT, "things")
