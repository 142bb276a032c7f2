"""Runs an ASGI application as a Tornado handler: body in, streamed response out, disconnects passed on.

Only HTTP, and only what the MCP SDK uses. The application never sees the caller's credentials: the handler has checked
them already, and what it found travels in the scope.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError

from kernel_gateway.frontends.handler import Door, Handler

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

CLIENT_CLOSED_REQUEST = 499  # for the access log alone: nobody is there to read it
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
# The connection is Tornado's; cookies carry no authority here; and what set_default_headers says is not negotiable.
_NOT_THE_APPLICATIONS = frozenset({"connection", "transfer-encoding", "keep-alive", "set-cookie", "server", "date"})


class AsgiHandler(Handler):
    """Subclasses say what goes into the scope. `_gone` is set when the client has left or the response is complete."""

    def initialize(self, door: Door, app: AsgiApp) -> None:  # type: ignore[override]
        super().initialize(door)
        self._app = app
        self._gone = asyncio.Event()
        self._body_taken = self._started = self._complete = False

    def on_connection_close(self) -> None:
        self._gone.set()

    def scope(self) -> dict[str, Any]:
        """ASGI 3, HTTP connection scope, without credentials."""
        request = self.request
        path, _, query = (request.uri or "").partition("?")
        address = getattr(request.connection, "context", None)
        client = getattr(address, "address", None)
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": request.version.rpartition("/")[2],
            "method": request.method,
            "scheme": request.protocol,
            "path": unquote(path),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in request.headers.get_all()
                if name.lower() not in _CREDENTIALS
            ],
            "client": tuple(client[:2]) if isinstance(client, tuple) else None,
            "server": None,
            "state": {},
        }

    async def serve(self) -> None:
        try:
            await self._app(self.scope(), self._receive, self._send)
        except Exception:
            if not self._started and not self._gone.is_set():
                raise
            if not self._gone.is_set():
                self.log_exception(*sys.exc_info())
        if self._complete:
            return
        if self._gone.is_set():
            self.set_status(CLIENT_CLOSED_REQUEST, "Client Closed Request")
        elif self._started:
            self._abort()
        else:
            raise RuntimeError("the application sent no response")

    def _abort(self) -> None:
        """Half a stream must not look like a whole one: cut the connection instead of ending the last chunk."""
        self._gone.set()
        self.set_status(500)
        connection = self.request.connection
        assert isinstance(connection, HTTP1Connection)
        connection.close()

    async def _receive(self) -> Message:
        if not self._body_taken:
            self._body_taken = True
            return {"type": "http.request", "body": self.request.body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._gone.is_set():
            return
        if message["type"] == "http.response.start":
            self._started = True
            self._begin(message)
            if self._headers.get("Content-Type", "").startswith("text/event-stream"):
                await self._emit(b"", more=True)  # who opens a stream waits for its headers, not for its first event
        elif message["type"] == "http.response.body":
            await self._emit(message.get("body", b""), more=message.get("more_body", False))

    def _begin(self, message: Message) -> None:
        status = message["status"]
        self.set_status(status, HTTPStatus(status).phrase)
        ours = {name.lower() for name, _ in self._headers.get_all()} - {"content-type"}
        self.clear_header("Content-Type")
        for raw_name, raw_value in message.get("headers", ()):
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if name.lower() not in ours | _NOT_THE_APPLICATIONS:
                self.add_header(name, value)

    async def _emit(self, body: bytes, *, more: bool) -> None:
        try:
            if body:
                self.write(body)
            if more:
                await self.flush()  # returns when the bytes have left: the client's pace is the application's pace
            else:
                self._complete = True
                await self.finish()
                self._gone.set()
        except StreamClosedError:
            self._gone.set()
