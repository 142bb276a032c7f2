"""The MCP server: exactly two tools, two resources, one prompt, over one gateway. Transports are someone else's job.

The law: a call that fails is a result with a `code`, never a protocol error and never a host traceback. The SDK's
own argument validation would break it, so the tools are served here and only the protocol is the SDK's.
"""

import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from mcp.server import CacheHint, MCPServer
from mcp.server.caching import CacheableMethod
from mcp.server.extension import Extension
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolResult,
    GetPromptResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
    Tool,
)

from catalog.manifest import manifest
from kernel_gateway import __version__
from kernel_gateway.auth.principal import Principal
from kernel_gateway.crash import crashed
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends import prompt
from kernel_gateway.frontends.answers import executed, found, refused, warned
from kernel_gateway.frontends.images import Pictures
from kernel_gateway.frontends.mcp_settings import McpSettings
from kernel_gateway.frontends.progress import may_come_back, reporter
from kernel_gateway.frontends.schema import ExecuteArguments, SearchArguments, parse
from kernel_gateway.frontends.tools import INSTRUCTIONS, published
from kernel_gateway.gateway import Gateway
from kernel_gateway.sessions.result import ExecuteRequest

log = logging.getLogger(__name__)

_CACHEABLE: tuple[CacheableMethod, ...] = (
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
)


def _event_id() -> str:
    return secrets.token_hex(8)


class CodeMode(MCPServer[Any]):
    """One object for HTTP and stdio alike. `principal_of` is asked in the context of each request, and may raise.

    `unsafe` is the line that each answer of `execute` begins with where the service runs without the promised sandbox.
    """

    def __init__(
        self,
        gateway: Gateway,
        principal_of: Callable[[], Principal],
        settings: McpSettings,
        *,
        session_idle_seconds: float,
        unsafe: str = "",
        extensions: Sequence[Extension] = (),
        new_id: Callable[[], str] = _event_id,
    ) -> None:
        hint = CacheHint(ttl_ms=settings.list_ttl_seconds * 1000, scope="public")
        super().__init__(
            "kernel-gateway",
            title="Agent kernel gateway",
            version=__version__,
            instructions=INSTRUCTIONS,
            cache_hints=dict.fromkeys(_CACHEABLE, hint),
            subscriptions=False,  # nothing that is listed changes while the server runs
            log_level="WARNING",
            extensions=extensions,
        )
        self._gateway, self._principal_of, self._settings = gateway, principal_of, settings
        self._new_id, self._unsafe = new_id, unsafe
        self._pictures = Pictures(settings)
        self._published = published(session_idle_seconds)
        self._add_resources()

    def __repr__(self) -> str:
        return f"<CodeMode {self.version}: {', '.join(tool.name for tool in self._published)}>"

    async def list_tools(self) -> list[Tool]:
        return list(self._published)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult:
        """Raises MCPError for a tool that does not exist, as the specification has it; all else is a result."""
        calls = {"search": self._search, "execute": self._execute}
        if name not in calls:
            raise MCPError(INVALID_PARAMS, "unknown tool; there are `search` and `execute`")
        try:
            result = await calls[name](arguments, context or Context(mcp_server=self))
        except GatewayError as error:
            result = refused(error)
        except Exception as error:
            result = refused(crashed(error, f"tool {name}", self._new_id))
        return warned(result, self._unsafe) if self._unsafe and name == "execute" else result

    async def _search(self, arguments: Mapping[str, Any], _: Context[Any, Any]) -> CallToolResult:
        wanted = parse(SearchArguments, arguments)
        hits = await self._gateway.search(
            self._principal_of(), wanted.query, limit=wanted.limit, server=wanted.server, detail=wanted.detail
        )
        return found(hits, self._settings)

    async def _execute(self, arguments: Mapping[str, Any], context: Context[Any, Any]) -> CallToolResult:
        wanted = parse(ExecuteArguments, arguments)
        result = await self._gateway.execute(
            self._principal_of(),
            ExecuteRequest(wanted.code, wanted.session_id, wanted.timeout_seconds, wanted.request_id),
            on_progress=reporter(context),
            detach_on_cancel=may_come_back(context, wanted.request_id),
        )
        return await executed(result, self._pictures, self._settings)

    def _add_resources(self) -> None:
        @self.resource(
            "kernel://catalog",
            name="catalog",
            title="Operations you may use",
            description="Every operation that your cells may call, with its parameters.",
            mime_type="application/json",
        )
        async def catalog() -> str:
            return await self._readable(self._catalog())

        @self.resource(
            "kernel://sessions/{session_id}/transcript",
            name="transcript",
            title="Transcript of a session",
            description="What happened in one of your sessions: one JSON object a line, metadata only.",
            mime_type="application/x-ndjson",
        )
        async def transcript(session_id: str) -> str:
            return await self._readable(self._transcript(session_id))

    async def _catalog(self) -> str:
        return json.dumps(manifest(self._gateway.catalog_for(self._principal_of())))

    async def _transcript(self, session_id: str) -> str:
        events = await self._gateway.transcript(self._principal_of(), session_id)
        return "".join(json.dumps(event) + "\n" for event in events)

    async def _readable(self, read: Awaitable[str]) -> str:
        """What `read` returns, or the SDK's exceptions for a resource."""
        try:
            return await read
        except GatewayError as error:
            if error.code == "not_found":
                raise ResourceNotFoundError("resource not found; a session's transcript is its owner's alone") from None
            raise ResourceError(f"{error.code}: {error.message}") from None
        except Exception as error:
            raise ResourceError(crashed(error, "a resource", self._new_id).message) from None

    async def list_prompts(self) -> list[Prompt]:
        task = PromptArgument(name="task", description="What to get done, in your own words.", required=False)
        return [Prompt(name=prompt.NAME, title=prompt.TITLE, description=prompt.DESCRIPTION, arguments=[task])]

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult:
        """Raises MCPError where the specification wants a protocol error: a prompt has no other way to fail."""
        if name != prompt.NAME:
            raise MCPError(INVALID_PARAMS, f"unknown prompt; there is `{prompt.NAME}`")
        given = arguments or {}
        task = given.get("task", "")
        if not given.keys() <= {"task"} or not isinstance(task, str):
            raise MCPError(INVALID_PARAMS, "the prompt takes at most one argument, `task`, a string")
        if len(task.strip()) > prompt.MAX_TASK_CHARS:
            raise MCPError(INVALID_PARAMS, f"`task` must have at most {prompt.MAX_TASK_CHARS} characters")
        text = TextContent(type="text", text=prompt.start_code_mode(task))
        return GetPromptResult(description=prompt.DESCRIPTION, messages=[PromptMessage(role="user", content=text)])
