"""Moves blob bytes between the gateway and a server's storage: only listed hosts, only the address that was checked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import httpx2

from kernel_gateway.upstreams import answer
from kernel_gateway.upstreams.addresses import Resolve, is_loopback, permitted
from kernel_gateway.upstreams.base import UpstreamError
from kernel_gateway.upstreams.client import EncodedError, TooMuchError, body, problem
from kernel_gateway.upstreams.hosts import StorageHosts

_STORED = frozenset((200, 201, 204))
_NOTES = {
    "not_found": ", the link has expired or was used; get a new one",
    "upstream_unavailable": "; try again later",
}
# The transport's own business; everything else that the upstream asked for belongs to the signature and is sent.
_RESERVED_HEADERS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect", "cookie")
)


class Transfer:
    """Messages name the server, never the link."""

    def __init__(
        self,
        name: str,
        hosts: StorageHosts,
        client: httpx2.AsyncClient,
        resolve: Resolve,
        *,
        allow_private: bool,
        redact: Callable[[str], str],
        clock: Callable[[], float],
    ) -> None:
        self._name, self._hosts, self._client = name, hosts, client
        self._resolve, self._allow_private = resolve, allow_private
        self._redact, self._clock = redact, clock

    def __repr__(self) -> str:
        return f"<Transfer {self._name} {self._hosts!r}>"

    async def fetch(self, url: str, *, max_bytes: int, deadline_seconds: float) -> tuple[bytes, str]:
        async with self._limited(deadline_seconds), self._open("GET", url) as response:
            if response.status_code != 200:
                raise await self._refused(response)
            try:
                data = await body(response, max_bytes)
            except TooMuchError as error:
                message = f"the blob is larger than {max_bytes} bytes"
                raise UpstreamError("too_large", message, http_status=200) from error
            except (EncodedError, httpx2.RemoteProtocolError) as error:
                message = f"the storage of `{self._name}` sent a broken body"
                raise UpstreamError("upstream_invalid", message, http_status=200) from error
            return data, _content_type(response)

    async def store(self, url: str, data: bytes, *, headers: Mapping[str, str], deadline_seconds: float) -> None:
        async with self._limited(deadline_seconds), self._open("PUT", url, data, headers) as response:
            if response.status_code not in _STORED:
                raise await self._refused(response)

    async def close(self) -> None:
        await self._client.aclose()

    @asynccontextmanager
    async def _limited(self, deadline_seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(deadline_seconds):
                yield
        except TimeoutError as error:
            message = f"the storage of `{self._name}` took over {deadline_seconds:g} s"
            raise UpstreamError("deadline", message) from error
        except httpx2.TransportError as error:
            raise UpstreamError(
                "upstream_unavailable", f"the connection to the storage of `{self._name}` broke"
            ) from error

    @asynccontextmanager
    async def _open(
        self, method: str, url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpx2.Response]:
        """The response, from one of the addresses that were checked. Redirects are not followed."""
        if not self._hosts.hold(url):
            raise UpstreamError("upstream_invalid", f"the link is not to the storage of `{self._name}`", sent=False)
        link = httpx2.URL(url).copy_with(fragment=None)
        addresses = await self._checked(link)
        sent = {name: value for name, value in (headers or {}).items() if name.lower() not in _RESERVED_HEADERS}
        sent |= {"Host": link.netloc.decode(), "Accept-Encoding": "identity"}
        response = None
        for at, address in enumerate(addresses):
            request = self._client.build_request(
                method,
                link.copy_with(host=address),  # no second look-up: the name cannot turn to another address now
                headers=sent,
                content=data,
                extensions={"sni_hostname": link.raw_host.decode()},  # TLS still proves the name
            )
            try:
                response = await self._client.send(request, stream=True)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                if at == len(addresses) - 1:
                    message = f"the storage of `{self._name}` cannot be reached; try again later"
                    raise UpstreamError("upstream_unavailable", message, sent=False) from error
            else:
                break
        assert response is not None
        try:
            yield response
        finally:
            await response.aclose()

    async def _checked(self, link: httpx2.URL) -> list[str]:
        """Every address of the host, all permitted: a name that also points inside is not trusted at all."""
        port = link.port or (443 if link.scheme == "https" else 80)
        try:
            addresses = await self._resolve(link.raw_host.decode(), port)
        except OSError as error:
            message = f"the storage host of `{self._name}` is not known to the resolver"
            raise UpstreamError("upstream_unavailable", message, sent=False) from error
        if not addresses or not all(permitted(each, allow_private=self._allow_private) for each in addresses):
            message = f"the storage host of `{self._name}` has an address that is not permitted; tell an operator"
            raise UpstreamError("upstream_invalid", message, sent=False)
        if link.scheme != "https" and not all(is_loopback(each) for each in addresses):
            message = f"the link to the storage of `{self._name}` is not https; tell an operator"
            raise UpstreamError("upstream_invalid", message, sent=False)
        return addresses

    async def _refused(self, response: httpx2.Response) -> UpstreamError:
        """What the storage did not take: the link, the bytes or the moment, in its own words where it has any."""
        who, status = f"the storage of `{self._name}`", response.status_code
        if 300 <= status < 400:
            message = f"{who} answered {status}; redirects are not followed"
            return UpstreamError("upstream_invalid", message, http_status=status)
        raw = await problem(response)
        return answer.refusal(
            who, status, response.headers, raw, self._clean, self._clock(), answer.STORAGE_CODES, _NOTES
        )

    def _clean(self, text: str) -> str:
        return self._hosts.redact(self._redact(text))


def _content_type(response: httpx2.Response) -> str:
    essence = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return essence if len(essence) <= 127 and essence.isascii() and essence.isprintable() else ""
