"""Protocol sessions (revisions before 2026-07-28) are shared out: no caller can take them all."""

from typing import Any

from mcp.server.auth.middleware.bearer_auth import authorization_context
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.asgi import AsgiApp, Message, Receive, Send

RETRY_SECONDS = 30.0  # at worst a lost session stays until it was silent for long enough; usually one is closed


class ProtocolSessions:
    """The manager's application, for callers who hold fewer sessions than `max_per_principal`."""

    def __init__(self, manager: StreamableHTTPSessionManager, max_per_principal: int) -> None:
        self._app: AsgiApp = manager.asgi_app
        self._owners: dict[str, Any] = manager._session_owners  # by session; the manager forgets those that end
        self._max_per_principal = max_per_principal

    def __repr__(self) -> str:
        return f"<ProtocolSessions {len(self._owners)} open>"

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Raises GatewayError("limited") for one session too many."""
        if _opens_session(scope):
            caller = authorization_context(scope["user"])
            if sum(owner == caller for owner in self._owners.values()) >= self._max_per_principal:
                message = f"you hold {self._max_per_principal} MCP protocol sessions; go on in one, or DELETE one"
                raise GatewayError("limited", message, retry_after=RETRY_SECONDS)
        await self._app(scope, receive, send)


def _opens_session(scope: Message) -> bool:
    headers = dict(scope["headers"])
    version = headers.get(MCP_PROTOCOL_VERSION_HEADER.encode())
    is_legacy = version is None or version.decode("latin-1") in HANDSHAKE_PROTOCOL_VERSIONS
    return is_legacy and MCP_SESSION_ID_HEADER.encode() not in headers
