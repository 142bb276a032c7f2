"""Listens on loopback and nowhere else, and writes no request line to a log (query strings hold signatures)."""

import ipaddress
import socket
from collections.abc import Mapping

from tornado.httpserver import HTTPServer
from tornado.web import Application


class ReferenceWorldWarning(UserWarning):
    """The stand-in world is for tests and demonstrations: anyone who can read its folder can mint tokens."""


def bind_all(host: str, ports: Mapping[str, int]) -> dict[str, list[socket.socket]]:
    """Sockets by name on a loopback address, all or none; port 0 takes a free one.

    Raises ValueError for any other address, OSError where a port is taken.
    """
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f"the reference world listens on loopback only, not on `{host}`; use 127.0.0.1")
    bound: dict[str, list[socket.socket]] = {}
    try:
        for name, port in ports.items():
            bound[name] = [_listen(host, port)]
    except OSError:
        for each in bound.values():
            for listening in each:
                listening.close()
        raise
    return bound


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=128)
    listening.setblocking(False)
    return listening


def port_of(sockets: list[socket.socket]) -> int:
    port: int = sockets[0].getsockname()[1]
    return port


def serve(application: Application, sockets: list[socket.socket], *, max_body_bytes: int) -> HTTPServer:
    """Serves on the running loop until `stop` and `close_all_connections`."""
    application.settings["log_function"] = lambda handler: None
    server = HTTPServer(application, max_body_size=max_body_bytes, idle_connection_timeout=60, body_timeout=60)
    server.add_sockets(sockets)
    return server
