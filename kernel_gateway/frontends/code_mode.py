"""The MCP server: exactly two tools, two resources, one prompt, over one gateway. Transports are someone else's job.

The law: a call that fails is a result with a `code`, never a protocol error and never a host traceback. The SDK's
own argument validation would break it, so the tools are served here and only the protocol is the SDK's.
"""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mcp.server import CacheHint, MCPServer
from mcp.server.caching import CacheableMethod
from mcp.server.extension import Extension
from mcp.server.mcpserver import Context, RequestStateSecurity
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolResult,
    GetPromptResult,
    InputRequiredResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
    Tool,
)

from catalog.manifest import manifest
from kernel_gateway import __version__
from kernel_gateway.approvals.pending import CALL, Pending
from kernel_gateway.auth.principal import Principal
from kernel_gateway.crash import crashed
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends import prompt
from kernel_gateway.frontends.answers import executed, found, refused, warned
from kernel_gateway.frontends.asking import answer_in, ask_now, asks_in_answers, can_ask, question
from kernel_gateway.frontends.images import Pictures
from kernel_gateway.frontends.mcp_settings import McpSettings
from kernel_gateway.frontends.measuring import Answered, Measured
from kernel_gateway.frontends.progress import may_come_back, reporter
from kernel_gateway.frontends.schema import ExecuteArguments, SearchArguments, parse
from kernel_gateway.frontends.tools import INSTRUCTIONS, published
from kernel_gateway.gateway import Gateway
from kernel_gateway.sessions.result import Answer, ExecuteRequest, ExecuteResult

log = logging.getLogger(__name__)

_CACHEABLE: tuple[CacheableMethod, ...] = (
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
)


_Serve = Callable[[Mapping[str, Any], Context[Any, Any]], Awaitable[CallToolResult | InputRequiredResult]]


def _event_id() -> str:
    return secrets.token_hex(8)


def _for_the_user(result: ExecuteResult, request: ExecuteRequest) -> Pending | None:
    """The question to put to the caller's own user, where the client can."""
    pending = result.approval.pending if result.approval is not None else None
    is_asked = request.can_ask and not request.validate_only
    return pending if is_asked and pending is not None and pending.approver == "user" else None


class CodeMode(MCPServer[Any]):
    """One object for HTTP and stdio alike. `principal_of` is asked in the context of each request, and may raise.

    `unsafe` is the line that each answer of `execute` begins with where the service runs without the promised sandbox.
    `state_security` seals what a client brings back with its user's answer; without it, for this process alone.
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
        state_security: RequestStateSecurity | None = None,
        new_id: Callable[[], str] = _event_id,
        clock: Callable[[], float] = time.time,
        answered: Answered | None = None,
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
            request_state_security=state_security,
            middleware=[Measured(answered)] if answered else None,
        )
        self._gateway, self._principal_of, self._settings = gateway, principal_of, settings
        self._new_id, self._unsafe, self._clock = new_id, unsafe, clock
        self._pictures = Pictures(settings)
        self._published = published(session_idle_seconds)
        self._add_resources()

    def __repr__(self) -> str:
        return f"<CodeMode {self.version}: {', '.join(tool.name for tool in self._published)}>"

    async def list_tools(self) -> list[Tool]:
        return list(self._published)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Raises MCPError for a tool that does not exist, as the specification has it; all else is a result."""
        calls: dict[str, _Serve] = {"search": self._search, "execute": self._execute}
        if name not in calls:
            raise MCPError(INVALID_PARAMS, "unknown tool; there are `search` and `execute`")
        try:
            result = await calls[name](arguments, context or Context(mcp_server=self))
        except GatewayError as error:
            result = refused(error)
        except Exception as error:
            result = refused(crashed(error, f"tool {name}", self._new_id))
        if not self._unsafe or name != "execute" or isinstance(result, InputRequiredResult):
            return result
        return warned(result, self._unsafe)

    async def _search(self, arguments: Mapping[str, Any], _: Context[Any, Any]) -> CallToolResult:
        wanted = parse(SearchArguments, arguments)
        hits = await self._gateway.search(
            self._principal_of(), wanted.query, limit=wanted.limit, server=wanted.server, detail=wanted.detail
        )
        return found(hits, self._settings)

    async def _execute(
        self, arguments: Mapping[str, Any], context: Context[Any, Any]
    ) -> CallToolResult | InputRequiredResult:
        wanted = parse(ExecuteArguments, arguments)
        request = ExecuteRequest(**wanted.model_dump(), can_ask=can_ask(context), answer=answer_in(context))
        while True:
            result = await self._gateway.execute(
                self._principal_of(),
                request,
                on_progress=reporter(context),
                detach_on_cancel=may_come_back(context, wanted.request_id),
            )
            asked = _for_the_user(result, request)
            if asked is None:
                return await executed(result, self._pictures, self._settings)
            if asks_in_answers(context):
                return question(asked)
            request = replace(request, answer=await self._asked(context, asked))

    async def _asked(self, context: Context[Any, Any], asked: Pending) -> Answer:
        """The user's answer. A call that is cancelled meanwhile ends its paused cell, as it would a running one."""
        try:
            return await ask_now(context, asked, asked.expires_at - self._clock())
        except asyncio.CancelledError:
            if asked.kind == CALL:
                await self._gateway.interrupt(self._principal_of(), asked.terms.session)
            raise

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
