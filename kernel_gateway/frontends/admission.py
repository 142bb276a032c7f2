"""How much of a body is kept before anybody knows who sends it: little, and all of it is read.

A refusal that leaves bytes unread resets the connection, and on some systems the refusal is lost with it. So what is
too much is read and dropped, within the transport's own limits of size and time, and the handler says what was wrong.
"""

from collections.abc import Awaitable

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine

from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.challenge import bearer
from kernel_gateway.frontends.handler import TokenVerifier
from kernel_gateway.frontends.settings import ServerSettings


class Admission(HTTPMessageDelegate):
    """Stands in front of one request's own delegate. A small body passes unseen; the handler checks its caller."""

    def __init__(self, request: HTTPMessageDelegate, verifier: TokenVerifier, settings: ServerSettings) -> None:
        self._request, self._verifier, self._settings = request, verifier, settings
        self._room = settings.max_anonymous_body_bytes

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        if self._is_small(headers):
            return self._request.headers_received(start_line, headers)
        return self._identified(start_line, headers)

    def _is_small(self, headers: HTTPHeaders) -> bool:
        length = headers.get("Content-Length", "0")
        return "Transfer-Encoding" not in headers and length.isdecimal() and int(length) <= self._room

    async def _identified(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> None:
        try:
            await self._verifier.verify(bearer(headers.get("Authorization")))
        except GatewayError:
            pass  # the handler refuses it, with the challenge that belongs to its route
        else:
            self._room = self._settings.max_body_bytes + 1  # one more: the handler sees that it is too much
        if (received := self._request.headers_received(start_line, headers)) is not None:
            await received

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        kept, self._room = chunk[: self._room], max(0, self._room - len(chunk))
        return self._request.data_received(kept) if kept else None

    def finish(self) -> None:
        self._request.finish()

    def on_connection_close(self) -> None:
        self._request.on_connection_close()
