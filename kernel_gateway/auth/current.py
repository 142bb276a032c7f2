"""The principal of the request that is being served, for code that a protocol library calls on our behalf.

A context variable, not session state: the MCP SDK runs each message in the context of the HTTP request that carried it,
so a handler sees the token of this call and never that of the request which opened the session.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError

_current: ContextVar[Principal | None] = ContextVar("current_principal", default=None)


def current_principal() -> Principal:
    """Raises GatewayError("unauthenticated") outside a request: nobody is asking, so nothing is allowed."""
    principal = _current.get()
    if principal is None:
        raise GatewayError("unauthenticated", "no caller is known here; send a bearer token")
    return principal


@contextmanager
def acting_as(principal: Principal) -> Iterator[None]:
    """What runs inside, and every task started inside, acts for `principal`."""
    token = _current.set(principal)
    try:
        yield
    finally:
        _current.reset(token)
