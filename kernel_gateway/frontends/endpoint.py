"""`/mcp`: our Principal becomes the SDK's user, and a call without its scopes is a 403 before the SDK sees it."""

import asyncio
import json
import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.authentication import AuthCredentials

from kernel_gateway.auth.current import acting_as
from kernel_gateway.auth.principal import Principal
from kernel_gateway.frontends.asgi import AsgiApp, AsgiHandler
from kernel_gateway.frontends.challenge import Call, call_in
from kernel_gateway.frontends.handler import Door
from kernel_gateway.frontends.protocol_sessions import share_out
from kernel_gateway.frontends.settings import ServerSettings

_CALLERS = 256  # whose counterpart in the SDK is kept, made from the same verified token

for _talkative in ("sse_starlette", "mcp"):  # below WARNING they log whole answers and what callers send
    logging.getLogger(_talkative).setLevel(logging.WARNING)


def session_manager(server: MCPServer[Any], settings: ServerSettings) -> StreamableHTTPSessionManager:
    """The SDK's transport for both protocol eras. Enter `run()` once, around serving; `asgi_app` is the endpoint's app.

    JSON-only responses would lose progress, so streams stay on; Host and Origin are checked by us, for every route.
    """
    server.streamable_http_app(  # called for its side effect: the manager exists from here on
        json_response=False,
        max_request_body_size=settings.max_body_bytes,
        session_idle_timeout=settings.mcp_session_idle_seconds,
        max_sessions=settings.max_mcp_sessions,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    manager = server.session_manager
    share_out(manager, settings.max_mcp_sessions_per_principal)
    return manager


@lru_cache(maxsize=_CALLERS)
def sdk_user(principal: Principal, resource: str) -> AuthenticatedUser:
    """The SDK binds its sessions and sealed states to (client, issuer, subject); the organisation goes into the last.

    It never gets the token itself: nothing there needs it, and what is not there cannot leak.
    """
    return AuthenticatedUser(
        AccessToken(
            token="",
            client_id=principal.client,
            scopes=sorted(principal.scopes),
            expires_at=int(principal.expires_at),
            resource=resource,
            subject=json.dumps([principal.organisation, principal.subject]),
            claims={"iss": principal.issuer},
        )
    )


class McpHandler(AsgiHandler):
    """Both eras on one path: POST carries calls; GET and DELETE belong to legacy protocol sessions."""

    route = "/mcp"
    front_end = "mcp"
    resource_path = "/mcp"

    def initialize(self, door: Door, app: AsgiApp, tool_scopes: Mapping[str, tuple[str, ...]]) -> None:  # type: ignore[override]
        super().initialize(door, AuthContextMiddleware(app))
        self._tool_scopes = tool_scopes
        self._call = Call()

    def needed_scopes(self) -> tuple[str, ...]:
        self._call = call_in(self.request.body) if self.request.method == "POST" else Call()
        is_about_a_task = self._call.method.startswith("tasks/")  # the call of a cell that took long
        return self._tool_scopes.get("execute" if is_about_a_task else self._call.tool, ())

    def scope(self) -> dict[str, Any]:
        user = sdk_user(self.principal, self.resource())
        return {**super().scope(), "user": user, "auth": AuthCredentials(user.scopes)}

    async def _serve_call(self) -> None:
        with acting_as(self.principal):
            if self.request.method != "GET" and self._call.method != "subscriptions/listen":
                await self.serve()
                return
            # A stream of news outlives no token; a running call does, and its operations are refused one by one.
            left = max(0.0, self.principal.expires_at - self.door.clock())
            expiry = asyncio.get_running_loop().call_later(left, self._gone.set)
            try:
                await self.serve()
            finally:
                expiry.cancel()

    get = post = delete = _serve_call
