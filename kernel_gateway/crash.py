"""What happens to an exception that nobody anticipated: kind and place stay on the host, an event id goes outside."""

import logging
import traceback
from collections.abc import Callable

from kernel_gateway.errors import GatewayError

log = logging.getLogger(__name__)

MAX_DEPTH = 8  # of causes and groups; a cycle or a monster is cut, the outermost frames say enough


def crashed(error: BaseException, doing: str, new_id: Callable[[], str]) -> GatewayError:
    """Logs where `error` came from and returns the failure to show in its place."""
    event = new_id()
    log.error("event %s in %s: %s", event, doing, places(error))
    return GatewayError("internal", f"internal error; tell the operator the event id `{event}`")


def places(error: BaseException, depth: int = 0) -> str:
    """Type and frames of the error, of what it holds (exception groups) and of what led to it, outermost first.

    Messages are left out: they may hold what a caller or an upstream sent.
    """
    if depth == MAX_DEPTH:
        return "..."
    lines = [type(error).__name__, *(line.rstrip() for line in traceback.format_tb(error.__traceback__))]
    inner = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []
    if error.__cause__ is not None:
        inner.append(error.__cause__)
    elif error.__context__ is not None and not error.__suppress_context__:
        inner.append(error.__context__)
    return "\n".join([*lines, *(f"from {places(each, depth + 1)}" for each in inner)])
