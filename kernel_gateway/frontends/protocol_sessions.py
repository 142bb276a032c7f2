"""Protocol sessions (revisions before 2026-07-28) are shared out: no caller can take them all."""

from mcp.server.auth.middleware.bearer_auth import AuthorizationContext
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from kernel_gateway.limits.exceeded import ExceededError

RETRY_SECONDS = 30.0  # at worst a lost session stays until it was silent for long enough; usually one is closed


def share_out(manager: StreamableHTTPSessionManager, max_per_principal: int) -> None:
    """From now on a request that would open one session too many of its caller raises ExceededError.

    Decided where the manager registers a session: whatever the request looks like, and however many come at once.
    """
    admit = manager._admit_session

    def admit_within_share(requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        if sum(owner == requestor for owner in manager._session_owners.values()) >= max_per_principal:
            message = f"you hold {max_per_principal} MCP protocol sessions; go on in one, or DELETE one"
            raise ExceededError(
                message, policy="mcp-sessions-per-token", quota=max_per_principal, retry_after=RETRY_SECONDS
            )
        return admit(requestor)

    manager._admit_session = admit_within_share  # type: ignore[method-assign]
