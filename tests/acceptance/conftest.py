"""A running service as an agent finds it: over HTTP with a token, and on stdio as a process of its own."""

import asyncio
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from kernel_gateway.commands import AGENT_SCOPES
from kernel_gateway.frontends.listener import bind

IMAGE = Path(__file__).parents[2] / "build" / "kernel"


@dataclass
class Agent:
    """An MCP client that remembers its session, and where the service it speaks to keeps its files."""

    client: Client
    folder: Path
    token: str = ""
    world: Any = None
    app: Any = None
    url: str = ""
    session_id: str = ""
    objects: Path = Path()

    async def search(self, query: str, **more: Any) -> dict[str, Any]:
        return (await self.client.call_tool("search", {"query": query, **more})).structured_content

    async def begin(self, code: str, **more: Any) -> "asyncio.Task[tuple[dict[str, Any], list[Any]]]":
        """A call whose cell runs by now: a word of its progress was heard. Fails where the call ends before."""
        running = asyncio.Event()
        call = asyncio.create_task(self.execute(code, heard=running, **more))
        heard = asyncio.create_task(running.wait())
        await asyncio.wait({call, heard}, return_when=asyncio.FIRST_COMPLETED)
        heard.cancel()
        assert running.is_set(), f"the call ended without a word of progress: {call.result()[0]}"
        return call

    async def execute(
        self, code: str, *, heard: asyncio.Event | None = None, **more: Any
    ) -> tuple[dict[str, Any], list[Any]]:
        """`heard` is set at the first word of progress: the cell runs."""
        arguments = {"code": code, "session_id": self.session_id, **more}

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            if heard is not None:
                heard.set()

        result = await self.client.call_tool("execute", arguments, progress_callback=on_progress)
        structured = result.structured_content
        self.session_id = structured.get("session_id", self.session_id)
        assert result.is_error == ("code" in structured)
        return structured, result.content


@pytest.fixture
def run_folder(tmp_path, monkeypatch):
    """Everything the run writes goes below this folder: state, home, caches, temporary files."""
    for name in ("home", "tmp", "cache"):
        (tmp_path / name).mkdir()
    for name, folder in {"HOME": "home", "TMPDIR": "tmp", "XDG_CACHE_HOME": "cache", "XDG_STATE_HOME": "home"}.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path


@pytest.fixture
def sections():
    """Of the settings, where a file of tests wants others."""
    return {}


@pytest.fixture
async def service(run_folder, gateway_settings, sections, world_and_app, hold):
    """The gateway with the reference world on a loopback port: (world, app, url, token)."""
    world, app = await world_and_app(gateway_settings(**sections))
    bound = bind("127.0.0.1", 0)
    await hold(app.serving(bound))
    scopes = (*AGENT_SCOPES, *(operation.scope for operation in world.catalog.operations))
    return world, app, f"http://127.0.0.1:{bound.port}", world.mint("agent", " ".join(scopes))


@pytest.fixture
async def over_http(service, run_folder, hold):
    """`over_http(mode)` -> Agent; modes are those of the SDK: "auto" (the current revision) and "legacy"."""

    async def connect(mode="auto", token="", **options):
        world, app, url, own = service
        http = await hold(httpx2.AsyncClient(headers={"Authorization": f"Bearer {token or own}"}, timeout=60))
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        client = await hold(Client(transport, mode=mode, **options))
        return Agent(client, run_folder, token or own, world, app, url, objects=world.storage_folder)

    return connect


@pytest.fixture
async def over_stdio(run_folder, hold):
    """`over_stdio(mode)` -> Agent of a `kernel-gateway mcp` process that has its own reference world."""

    async def connect(mode="auto", extensions=()):
        environment = {
            **os.environ,
            "KG_STORE__FOLDER": str(run_folder / "stdio"),
            "KG_SANDBOX__IMAGE": str(IMAGE),
            "KG_POLICY__AUTO_APPROVE_RISK": "critical",
        }
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "kernel_gateway", "mcp"], env=environment, cwd=run_folder
        )
        objects = run_folder / "stdio" / "world" / "objects"
        return Agent(await hold(Client(command, mode=mode, extensions=extensions)), run_folder, objects=objects)

    return connect


@pytest.fixture(params=["http", "http-legacy", "stdio", "stdio-legacy"])
async def agent(request, over_http, over_stdio):
    transport, _, era = request.param.partition("-")
    return await (over_http if transport == "http" else over_stdio)(era or "auto")
