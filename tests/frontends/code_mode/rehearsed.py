"""A gateway whose answers a test chooses, and the MCP server over it: in memory, on loopback HTTP, and on stdio.

Run as a script it serves stdio; `code` of a cell then picks the answer.
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from catalog import Catalog
from kernel_gateway.auth.current import current_principal
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.code_mode import CodeMode
from kernel_gateway.frontends.endpoint import session_manager
from kernel_gateway.frontends.http import application
from kernel_gateway.frontends.listener import bind, listen
from kernel_gateway.frontends.mcp_settings import McpSettings
from kernel_gateway.frontends.settings import ServerSettings
from kernel_gateway.frontends.tasks import TaskLimits, Tasks
from kernel_gateway.sessions.result import ExecuteResult
from kernel_gateway.sessions.settings import SessionSettings

ALICE = Principal("https://as.example", "acme", "alice", "agent", "dev",
                  frozenset({"kernel.search", "kernel.execute", "kernel.read"}), 4e9)  # fmt: skip
HIT = {
    "operation": "image_ops:jobs_create",
    "method": "POST",
    "path": "/v1/jobs",
    "summary": "Create an image job",
    "effect": "write",
    "scope": "image.jobs.write",
    "inputs": ["upload_id", "operations"],
    "score": 0.93,
}
FOUND = {"hits": [HIT], "total": 5, "confidence": 0.93, "hint": ""}
DONE = ExecuteResult("ok", "s1", 1, result="42", duration_ms=3.14)


@dataclass
class RehearsedGateway:
    """`run`, where set, is awaited with (request, on_progress) in place of returning `answer`."""

    answer: object = DONE
    found: object = field(default_factory=lambda: FOUND)
    run: object = None
    asked: list = field(default_factory=list)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def search(self, principal, query, *, limit=10, server="", detail="brief"):
        self.asked.append(("search", principal, query, limit, server, detail))
        return self._or_raise(self.found)

    async def execute(self, principal, request, *, on_progress=None, detach_on_cancel=False):
        self.asked.append(("execute", principal, request, detach_on_cancel))
        self.entered.set()
        if self.run is None:
            return self._or_raise(self.answer)
        try:
            return await self.run(request, on_progress)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def transcript(self, principal, session_id):
        self.asked.append(("transcript", principal, session_id))
        if session_id != "s1":
            raise GatewayError("not_found", f"no session `{session_id}`; start one with execute")
        return [{"kind": "SessionOpened"}, {"kind": "CellRan", "cell": 1}]

    def catalog_for(self, principal):
        return Catalog(())

    async def sessions(self, principal):
        return []

    def ready(self):
        return True, []

    @staticmethod
    def _or_raise(answer):
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class OneToken:
    token: str = "alice-token"
    issuers: tuple[str, ...] = ("https://as.example",)

    async def verify(self, token):
        if token != self.token:
            raise GatewayError("unauthenticated", "the bearer token is not known; get a new one")
        return ALICE


def code_mode(gateway, principal_of=lambda: ALICE, answers=None, **settings):
    """`answers` are settings of `[sessions]` about kept answers, the others of `[mcp]`."""
    numbers = iter(range(1, 1000))
    mcp = McpSettings.model_validate(settings)
    limits = TaskLimits.of(mcp, SessionSettings.model_validate(answers or {}))
    return CodeMode(gateway, principal_of, mcp, session_idle_seconds=1800,
                    extensions=[Tasks(lambda: principal_of().identity, limits)],
                    new_id=lambda: f"event-{next(numbers)}")  # fmt: skip


def over_http(gateway, token="alice-token", **settings):
    """The URL of `/mcp` on a loopback port: the product's own Tornado application, SDK bridge and checks."""
    return served(code_mode(gateway, current_principal, **settings), OneToken(token), gateway)


@asynccontextmanager
async def served(server, verifier, gateway):
    """The same for any MCP server."""
    server_settings = ServerSettings()
    async with AsyncExitStack() as stack:
        manager = session_manager(server, server_settings)
        await stack.enter_async_context(in_one_task(manager.run()))
        bound = bind("127.0.0.1", 0)
        http = listen(application(gateway, None, verifier, manager.asgi_app, server_settings, clock=time.time),
                      server_settings, bound)  # fmt: skip
        stack.push_async_callback(http.close_all_connections)
        stack.callback(http.stop)
        yield f"http://127.0.0.1:{bound.port}/mcp"


@asynccontextmanager
async def in_one_task(context):
    """Enters and leaves `context` in one task, which the two halves of a fixture are not."""
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


async def _answer_from_code(request, on_progress):
    if request.code == "wait":
        await on_progress(0.5)
        await asyncio.Event().wait()
    return ExecuteResult("ok", "s1", 1, stdout=request.code)


if __name__ == "__main__":
    print("a stray line must not reach the client")  # stdout belongs to the protocol
    gateway = RehearsedGateway(run=_answer_from_code)

    async def serve():
        server = code_mode(gateway)
        await server.run_stdio_async()
        print(f"cancelled: {gateway.cancelled.is_set()}", file=sys.stderr)

    asyncio.run(serve())
