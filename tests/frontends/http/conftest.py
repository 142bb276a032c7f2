"""The real Tornado application on a loopback port, in front of a gateway that records what reaches it."""

import asyncio
import itertools
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer

from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.endpoint import session_manager
from kernel_gateway.frontends.http import application
from kernel_gateway.frontends.listener import bind, listen
from kernel_gateway.frontends.settings import ServerSettings

NOW = 1_800_000_000.0
ALL = frozenset({"kernel.search", "kernel.execute", "kernel.read", "kernel.delete"})


@dataclass
class TokenTable:
    """A verifier whose tokens are its keys."""

    issuers: tuple[str, ...] = ("https://as.example",)
    principals: dict[str, Principal] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add(self, token, *, scopes=ALL, issuer="https://as.example", organisation="acme", subject="alice",
            client="agent", expires_at=NOW + 600):  # fmt: skip
        self.principals[token] = Principal(issuer, organisation, subject, client, "dev", frozenset(scopes), expires_at)
        return token

    async def verify(self, token):
        self.asked.append(token)
        if token not in self.principals:
            raise GatewayError("unauthenticated", "the bearer token is not known; get a new one from the issuer")
        return self.principals[token]


@dataclass
class RecordingGateway:
    """Sessions by id with their owner; every call is written down."""

    owners: dict[str, tuple[str, ...]] = field(default_factory=dict)
    calls: list[tuple] = field(default_factory=list)
    is_ready: tuple[bool, list[str]] = (True, [])
    failure: Exception | None = None

    def _own(self, method, principal, session_id):
        self.calls.append((method, principal.subject, session_id))
        if self.failure is not None:
            raise self.failure
        if self.owners.get(session_id) != principal.identity:
            raise GatewayError("not_found", f"no session `{session_id}`; leave out `session_id` to start a new one")

    async def sessions(self, principal):
        if self.failure is not None:
            raise self.failure
        return [{"session_id": key} for key, owner in self.owners.items() if owner == principal.identity]

    async def create_session(self, principal, wanted):
        self.calls.append(("create_session", principal.subject, wanted))
        return {"session_id": "s2", "scopes": [], "delegate": [], "skipped": wanted}

    async def session(self, principal, session_id):
        self._own("session", principal, session_id)
        return {"session_id": session_id, "status": "idle"}

    async def close_session(self, principal, session_id):
        self._own("close_session", principal, session_id)
        del self.owners[session_id]

    async def interrupt(self, principal, session_id):
        self._own("interrupt", principal, session_id)

    async def transcript(self, principal, session_id):
        self._own("transcript", principal, session_id)
        return [{"kind": "SessionOpened"}, {"kind": "CellRan", "cell": 1, "text": "é\u2028"}]

    async def history(self, principal, session_id):
        self._own("history", principal, session_id)
        return []

    async def source(self, principal, session_id):
        self._own("source", principal, session_id)
        return {}

    def ready(self):
        return self.is_ready

    async def switch(self, principal):
        self.calls.append(("switch", principal.subject, principal.front_end))
        return {"execute": "on", "off": []}

    async def set_switch(self, principal, part, name, *, off, reason):
        self.calls.append(("set_switch", principal.subject, part, name, off, reason))
        return {"execute": "off" if off else "on", "off": []}


@dataclass
class Service:
    url: str
    port: int
    tokens: TokenTable
    gateway: RecordingGateway
    refusals: list[tuple[GatewayError, Principal | None]]
    http: httpx2.AsyncClient
    server: object

    def headers(self, token="alice-token", **more):
        return {"Authorization": f"Bearer {token}"} | more


@pytest.fixture
def tokens():
    table = TokenTable()
    table.add("alice-token")
    return table


@pytest.fixture
async def serve(tokens):
    """`await serve(mcp=server_or_app, **settings)` -> Service."""
    async with AsyncExitStack() as stack:

        async def start(mcp=None, *, tls=None, **values):
            settings = ServerSettings.model_validate(values)
            gateway, refusals, numbers = RecordingGateway(), [], itertools.count(1)
            if isinstance(mcp, MCPServer):
                manager = session_manager(mcp, settings)
                await stack.enter_async_context(_in_one_task(manager.run()))
                mcp = manager.asgi_app
            app = application(
                gateway, gateway, tokens, mcp or nothing, settings,
                refused=lambda error, who: refusals.append((error, who)),
                clock=lambda: NOW, event_id=lambda: f"event-{next(numbers)}",
            )  # fmt: skip
            bound = bind("127.0.0.1", 0)
            server = listen(app, settings, bound)
            stack.push_async_callback(server.close_all_connections)
            stack.callback(server.stop)
            scheme = "https" if settings.tls_certificate else "http"
            url = f"{scheme}://127.0.0.1:{bound.port}"
            http = httpx2.AsyncClient(base_url=url, trust_env=False, timeout=10, verify=tls or True)
            await stack.enter_async_context(http)
            return Service(url, bound.port, tokens, gateway, refusals, http, server)

        yield start


@asynccontextmanager
async def _in_one_task(context):
    """Enters and leaves `context` in one task, which a fixture's two halves are not."""
    entered, leave = asyncio.Event(), asyncio.Event()

    async def hold():
        async with context:
            entered.set()
            await leave.wait()

    task = asyncio.create_task(hold())
    await entered.wait()
    try:
        yield
    finally:
        leave.set()
        await task


async def nothing(scope, receive, send):
    """An endpoint that answers 204."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def connect():
    """`async with connect(service, token, mode) as client`: the SDK's own client; `client.http` carries the headers."""

    def connect(service, token="alice-token", mode="2026-07-28", **options):
        return _Connected(service, token, mode, options)

    return connect


class _Connected:
    def __init__(self, service, token, mode, options):
        self.http = httpx2.AsyncClient(trust_env=False, timeout=10, headers=service.headers(token))
        transport = streamable_http_client(f"{service.url}/mcp", http_client=self.http)
        self.client = Client(transport, mode=mode, cache=None, **options)

    async def __aenter__(self):
        await self.http.__aenter__()
        client = await self.client.__aenter__()
        client.http = self.http
        return client

    async def __aexit__(self, *exc):
        await self.client.__aexit__(*exc)
        await self.http.__aexit__(*exc)


@pytest.fixture
def narrowed(tokens):
    """The same caller with another token that has fewer scopes."""

    def narrowed(token, name, scopes):
        tokens.principals[name] = replace(tokens.principals[token], scopes=frozenset(scopes))
        return name

    return narrowed
