"""The last thing before a connection is opened: only to hosts that the settings name, whatever made the request."""

import httpx2

from kernel_gateway.upstreams.base import UpstreamError
from kernel_gateway.upstreams.hosts import StorageHosts
from kernel_gateway.upstreams.settings import UpstreamSettings


class Gate(httpx2.AsyncBaseTransport):
    """In front of the transport that opens connections, which are to the host of the request's URL and no other."""

    def __init__(self, name: str, hosts: StorageHosts, transport: httpx2.AsyncBaseTransport) -> None:
        self._name, self._hosts, self._transport = name, hosts, transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self._hosts.holds(request.url):
            message = f"a request for `{self._name}` would go to a host that is not allowed; tell an operator"
            raise UpstreamError("upstream_invalid", message, sent=False)
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()


def api_hosts(settings: UpstreamSettings) -> StorageHosts:
    """Where calls and requests for tokens may go: never to more than what is configured, nor beyond what is allowed."""
    urls = (settings.base_url, settings.token_url)
    return StorageHosts(httpx2.URL(url).netloc.decode() for url in urls if url)
