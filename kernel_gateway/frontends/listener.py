"""Sockets: where the service listens, under TLS 1.3 or on loopback, and what it does about a busy port."""

import errno
import logging
import socket
import ssl
from dataclasses import dataclass

from tornado import httpserver, web

from kernel_gateway.auth.loopback import is_loopback
from kernel_gateway.errors import ConfigError
from kernel_gateway.frontends.connections import CappedServer
from kernel_gateway.frontends.settings import ServerSettings

BACKLOG = 128  # connections the kernel queues while the loop is busy


@dataclass(frozen=True, slots=True)
class Bound:
    """Listening sockets. `note` is a line for the person who started the service, empty where all is as asked."""

    sockets: tuple[socket.socket, ...]
    port: int
    note: str = ""

    def close(self) -> None:
        for each in self.sockets:
            each.close()


def bind(host: str, port: int, *, search: int = 1) -> Bound:
    """Takes `port`, or the first free one of the `search` ports from there up. Port 0 is any. Raises ConfigError."""
    last = min(port + search, 65536) - 1
    for candidate in range(port, last + 1):
        try:
            sockets = _bind_every_address(host, candidate)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            raise ConfigError(f"cannot listen on `{host}` port `{candidate}`: {error.strerror}") from error
        taken = sockets[0].getsockname()[1]
        note = f"port {port} is busy; listening on {taken} instead" if port not in {0, taken} else ""
        return Bound(sockets, taken, note)
    tried = f"port `{port}`" if last == port else f"every port from `{port}` to `{last}`"
    raise ConfigError(f"{tried} on `{host}` is busy; name another with --port")


def _bind_every_address(host: str, port: int) -> tuple[socket.socket, ...]:
    """All of a name's addresses on one port, or none. An address family that this machine lacks is left out."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in dict.fromkeys((each[0], each[4]) for each in found):
            taken = sockets[0].getsockname()[1] if sockets else port
            try:
                sockets.append(_bound_socket(family, (address[0], taken, *address[2:])))
            except OSError as error:
                if error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
                    raise
                missing = error
        if not sockets:
            raise missing or OSError(errno.EADDRNOTAVAIL, "the name has no address")
    except OSError:
        for each in sockets:
            each.close()
        raise
    return tuple(sockets)


def _bound_socket(family: int, address: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # the IPv4 address has a socket of its own
        made.setblocking(False)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def tls_context(settings: ServerSettings) -> ssl.SSLContext | None:
    """None is plain HTTP, which is for loopback and for a proxy that terminates TLS. Raises ConfigError."""
    if settings.tls_certificate is None or settings.tls_key is None:
        if not is_loopback(settings.host) and not settings.behind_tls_proxy:
            raise ConfigError(
                f"`server.host` `{settings.host}` is not loopback: set server.tls_certificate and server.tls_key, "
                "or server.behind_tls_proxy where a proxy terminates TLS"
            )
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"server.tls_certificate and server.tls_key cannot be used: {reason}") from error
    return context


def http_server(application: web.Application, settings: ServerSettings) -> httpserver.HTTPServer:
    """Listens nowhere yet. Raises ConfigError where the transport would not be safe."""
    logging.getLogger("tornado.general").addFilter(_without_what_a_client_sent)
    server = CappedServer(
        application,
        ssl_options=tls_context(settings),
        # Tornado answers 400 without a word beyond this; up to it the handler says 413 with a problem document
        max_body_size=2 * settings.max_body_bytes,
        max_header_size=settings.max_header_bytes,
        body_timeout=settings.body_seconds,
        idle_connection_timeout=settings.idle_connection_seconds,
    )
    server.max_connections = settings.max_connections
    return server


def listen(application: web.Application, settings: ServerSettings, bound: Bound) -> httpserver.HTTPServer:
    """Serves on `bound` until `stop()`. Raises ConfigError."""
    server = http_server(application, settings)
    server.add_sockets(bound.sockets)
    return server


def _without_what_a_client_sent(record: logging.LogRecord) -> bool:
    """Tornado quotes the malformed header it refused, which may be the one with the token."""
    if isinstance(record.msg, str) and record.msg.startswith("Malformed HTTP message"):
        record.msg, record.args = "malformed HTTP message", ()
    return True
