"""Makes the HTTP clients: nothing taken from the environment, no redirects, no cookies, nothing logged."""

import logging
import ssl
from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx2

_MAX_PROBLEM_BYTES = 64 * 1024

# These loggers write URLs (INFO) and header values (DEBUG): signed links and credentials.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


Through = Callable[[httpx2.AsyncBaseTransport], httpx2.AsyncBaseTransport]


def client(
    *,
    max_connections: int,
    keep_alive: bool = True,
    verify: ssl.SSLContext | bool = True,
    through: Through = lambda transport: transport,
) -> httpx2.AsyncClient:
    """`keep_alive=False`: one connection per request, so that a TLS check made for one name never serves another.
    `through` may stand in front of the transport."""
    limits = httpx2.Limits(
        max_connections=max_connections, max_keepalive_connections=max_connections if keep_alive else 0
    )
    return httpx2.AsyncClient(
        transport=through(httpx2.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)),
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=None,  # every use runs under a deadline of its own
        headers={"User-Agent": "kernel-gateway", "Accept-Encoding": "identity"},
    )


class TooMuchError(Exception):
    """The body is longer than allowed."""


class EncodedError(Exception):
    """The body came compressed although we asked for it as it is: its size could not be bounded."""


async def body(response: httpx2.Response, max_bytes: int) -> bytes:
    """At most `max_bytes` of a streamed response. Raises TooMuchError, EncodedError, httpx2.TransportError."""
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise EncodedError
    declared = response.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:19]) > max_bytes:
        raise TooMuchError
    received = bytearray()
    async for chunk in response.aiter_raw():
        received += chunk
        if len(received) > max_bytes:
            raise TooMuchError
    return bytes(received)


async def problem(response: httpx2.Response) -> bytes:
    """The body of a refusal, of which only title and detail are read; nothing where it cannot be had."""
    try:
        return await body(response, _MAX_PROBLEM_BYTES)
    except (TooMuchError, EncodedError, httpx2.TransportError):
        return b""  # the status alone says enough
