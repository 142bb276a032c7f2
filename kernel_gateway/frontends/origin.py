"""Which names and web pages may reach the service, and that no token travels in a URL. Pure; every route asks.

A page the user happens to visit can send requests to loopback and can rebind its own name to 127.0.0.1: the Host header
stops the second, the Origin header the first. Both lists are allow-lists.
"""

import re
from collections.abc import Iterable

from kernel_gateway.errors import GatewayError

_NAME = r"(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)"
_HOST = re.compile(rf"({_NAME})(?::([0-9]{{1,5}}))?")
_HOST_PATTERN = re.compile(rf"{_NAME}(?::(?:[0-9]{{1,5}}|\*))?")
_ORIGIN = re.compile(r"(https?)://(.+)")
TOKEN_PARAMETERS = frozenset({"token", "access_token"})  # RFC 6750, 2.3 allows the second; we do not


def valid_host_pattern(pattern: str) -> bool:
    return _HOST_PATTERN.fullmatch(pattern) is not None


def valid_origin_pattern(pattern: str) -> bool:
    match = _ORIGIN.fullmatch(pattern)
    return match is not None and valid_host_pattern(match[2])


def host_allowed(host: str, allowed: Iterable[str]) -> bool:
    """`host` is a Host header: a name, and a port where it is not the scheme's own."""
    host = host.lower()
    match = _HOST.fullmatch(host)
    return match is not None and any(each in (host, f"{match[1]}:*") for each in allowed)


def origin_allowed(origin: str, allowed: Iterable[str]) -> bool:
    """`origin` is an Origin header. `null` (a sandboxed or local page) is never allowed."""
    origin = origin.lower()
    match = _ORIGIN.fullmatch(origin)
    host = _HOST.fullmatch(match[2]) if match is not None else None
    if match is None or host is None:
        return False
    return any(each in (origin, f"{match[1]}://{host[1]}:*") for each in allowed)


def check_names(
    host: str | None, origin: str | None, allowed_hosts: Iterable[str], allowed_origins: Iterable[str]
) -> None:
    """Raises GatewayError: `misdirected` for the Host, `denied` for the Origin."""
    if host is None or not host_allowed(host, allowed_hosts):
        raise GatewayError("misdirected", "this service is not served by that name; add it to server.allowed_hosts")
    if origin is not None and not origin_allowed(origin, allowed_origins):
        raise GatewayError("denied", "pages of that origin may not call this service; see server.allowed_origins")


def check_query(names: Iterable[str]) -> None:
    """Raises GatewayError("invalid") where a query parameter could be a token: URLs end up in logs and histories."""
    if any(name.lower() in TOKEN_PARAMETERS for name in names):
        raise GatewayError("invalid", "a token in the URL carries no authority; send it in the Authorization header")
