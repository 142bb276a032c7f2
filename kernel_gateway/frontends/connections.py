"""So many connections at once, and one more is told why it is closed."""

import asyncio
import json
from typing import Any

from tornado import httpserver
from tornado.iostream import IOStream

_LINGER_SECONDS = 1.0  # the refusal arrives before the connection is reset, under TLS after the handshake
_MAX_REFUSED = 32  # connections that linger; those beyond are closed without a word


class CappedServer(httpserver.HTTPServer):
    """As Tornado's; set `max_connections` before it listens."""

    max_connections = 0

    def initialize(self, *arguments: Any, **options: Any) -> None:  # what Tornado's servers have for a constructor
        super().initialize(*arguments, **options)
        self._open = 0
        self._refused: set[IOStream] = set()

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        if self._open < self.max_connections:
            self._open += 1
            super().handle_stream(stream, address)
        elif len(self._refused) < _MAX_REFUSED:
            self._refused.add(stream)
            stream.write(_REFUSAL)
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._let_go, stream)
        else:
            stream.close()

    def on_close(self, server_conn: object) -> None:
        self._open -= 1
        super().on_close(server_conn)

    async def close_all_connections(self) -> None:
        for stream in list(self._refused):
            self._let_go(stream)
        await super().close_all_connections()

    def _let_go(self, stream: IOStream) -> None:
        self._refused.discard(stream)
        stream.close()


def _refusal() -> bytes:
    problem = {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "every connection is taken; close those you do not need and try again later",
        "code": "limited",
    }
    body = json.dumps(problem).encode()
    lines = (
        "HTTP/1.1 503 Service Unavailable",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Retry-After: 5",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body


_REFUSAL = _refusal()
