"""A loopback proxy that adds the bearer header, for judges that cannot send one. It changes nothing else.

Streams in both directions of time: an event goes on as soon as it comes, and when the client leaves, so does the proxy.
"""

import asyncio
from contextlib import asynccontextmanager

import httpx2
from tornado import httpserver, httputil, netutil, web
from tornado.iostream import StreamClosedError

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length"}


class Forward(web.RequestHandler):
    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")

    def initialize(self, client, origin, token):
        self.client, self.origin, self.token = client, origin, token
        self.forwarding = None

    def on_connection_close(self):
        if self.forwarding is not None:
            self.forwarding.cancel()

    async def forward(self, *_):
        self.forwarding = asyncio.ensure_future(self._forward())
        await asyncio.wait({self.forwarding})
        if not self.forwarding.cancelled():
            self.forwarding.result()

    async def _forward(self):
        request = self.request
        headers = [(k, v) for k, v in request.headers.get_all() if k.lower() not in _HOP_BY_HOP]
        headers.append(("Authorization", f"Bearer {self.token}"))
        try:
            async with self.client.stream(
                request.method, self.origin + request.uri, headers=headers, content=request.body
            ) as answer:
                self.set_status(answer.status_code, answer.reason_phrase)
                self._headers = httputil.HTTPHeaders()
                for name, value in answer.headers.multi_items():
                    if name.lower() not in _HOP_BY_HOP - {"content-length"}:
                        self.add_header(name, value)
                async for chunk in answer.aiter_raw():
                    self.write(chunk)
                    await self.flush()
            await self.finish()
        except StreamClosedError:
            return

    def compute_etag(self):
        return None

    get = head = post = delete = patch = put = options = forward


@asynccontextmanager
async def bearer_proxy(url, token):
    """`url` is the endpoint behind; the address to use in its place comes back."""
    origin, _, path = url.removeprefix("http://").partition("/")
    async with httpx2.AsyncClient(trust_env=False, timeout=None) as client:  # a stream may be silent for long
        handler = {"client": client, "origin": f"http://{origin}", "token": token}
        sockets = netutil.bind_sockets(0, "127.0.0.1")
        server = httpserver.HTTPServer(web.Application([(r"/.*", Forward, handler)], log_function=lambda handler: None))
        server.add_sockets(sockets)
        try:
            yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}/{path}"
        finally:
            server.stop()
            await server.close_all_connections()
