"""What of a request is refused before anything is opened for it. Pure."""

from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.result import ExecuteRequest
from kernel_gateway.sessions.settings import SessionSettings


def check(request: ExecuteRequest, limits: SessionSettings) -> None:
    """Raises GatewayError invalid."""
    size = len(request.code.encode(errors="surrogatepass"))
    if not request.code.strip():
        raise GatewayError("invalid", "`code` is empty; send one cell of Python")
    if size > limits.max_code_bytes:
        raise GatewayError("invalid", f"`code` is {size} bytes; a cell may have {limits.max_code_bytes}, so split it")
    if any("\ud800" <= character <= "\udfff" for character in request.code):
        raise GatewayError("invalid", "`code` holds half a character (a lone surrogate); send valid Unicode")
    if request.fork_from_cell and not request.session_id:
        raise GatewayError("invalid", "`fork_from_cell` needs `session_id`: the session whose cell that is")
    if request.fork_from_cell and (request.validate_only or request.approval_token):
        message = "`fork_from_cell` opens a session of its own; validate or approve the cell there, without it"
        raise GatewayError("invalid", message)
    if not 0 < request.timeout_seconds <= limits.max_timeout_seconds:
        raise GatewayError("invalid", f"`timeout_seconds` must be above 0 and at most {limits.max_timeout_seconds:g}")
