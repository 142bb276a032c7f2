"""One upstream spoken to over HTTP and JSON, as its OpenAPI document describes it."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from catalog import Operation
from kernel_gateway.audit.redact import Redactor
from kernel_gateway.upstreams import answer
from kernel_gateway.upstreams.addresses import Resolve, resolve
from kernel_gateway.upstreams.asker import HEADER as ASKER_HEADER
from kernel_gateway.upstreams.base import Asker, UpstreamAnswer, UpstreamError
from kernel_gateway.upstreams.client import EncodedError, TooMuchError, body, client, problem
from kernel_gateway.upstreams.credential import Bearer, ClientCredentials, Credential
from kernel_gateway.upstreams.gate import Gate, api_hosts
from kernel_gateway.upstreams.hosts import StorageHosts
from kernel_gateway.upstreams.request import IDEMPOTENCY_HEADER, RequestParts, build
from kernel_gateway.upstreams.settings import UpstreamSettings
from kernel_gateway.upstreams.transfer import Transfer


class HttpUpstream:
    """`sign(asker, operation_id)` makes the header that names the asker."""

    def __init__(
        self,
        name: str,
        settings: UpstreamSettings,
        *,
        sign: Callable[[Asker, str], str],
        credential: Credential,
        client: httpx2.AsyncClient,
        transfer: Transfer,
        redact: Callable[[str], str],
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self.host = httpx2.URL(settings.base_url).netloc.decode()
        self.storage = StorageHosts(settings.storage_hosts)
        self._settings, self._sign, self._credential = settings, sign, credential
        self._client, self._transfer, self._redact, self._clock = client, transfer, redact, clock

    def __repr__(self) -> str:
        return f"<HttpUpstream {self.name} {self._settings.base_url}>"

    async def call(
        self,
        operation: Operation,
        arguments: Mapping[str, Any],
        *,
        idempotency_key: str | None,
        asker: Asker,
        deadline_seconds: float,
    ) -> UpstreamAnswer:
        parts = build(operation, arguments)
        deadline_seconds = min(deadline_seconds, self._settings.timeout_seconds)
        try:
            async with asyncio.timeout(deadline_seconds):
                return await self._authorised(operation, parts, idempotency_key, asker)
        except TimeoutError as error:
            message = f"`{self.name}` took over {deadline_seconds:g} s; ask for less, or later"
            raise UpstreamError("deadline", message) from error
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            message = f"`{self.name}` cannot be reached; try again later"
            raise UpstreamError("upstream_unavailable", message, sent=False) from error
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise UpstreamError(
                "upstream_unavailable", f"the connection to `{self.name}` broke before it answered"
            ) from error

    async def fetch(self, url: str, *, max_bytes: int, deadline_seconds: float) -> tuple[bytes, str]:
        limit = min(max_bytes, self._settings.max_blob_bytes)
        return await self._transfer.fetch(url, max_bytes=limit, deadline_seconds=deadline_seconds)

    async def store(self, url: str, data: bytes, *, headers: Mapping[str, str], deadline_seconds: float) -> None:
        if len(data) > self._settings.max_blob_bytes:
            message = f"`{self.name}` takes blobs of at most {self._settings.max_blob_bytes} bytes"
            raise UpstreamError("too_large", message, sent=False)
        await self._transfer.store(url, data, headers=headers, deadline_seconds=deadline_seconds)

    async def close(self) -> None:
        await self._client.aclose()
        await self._transfer.close()

    async def _authorised(
        self, operation: Operation, parts: RequestParts, idempotency_key: str | None, asker: Asker
    ) -> UpstreamAnswer:
        """A 401 did nothing, so a call whose credential had run out is sent once more with a new one."""
        token = await self._credential.token(asker.organisation)
        try:
            return await self._exchange(operation, parts, idempotency_key, asker, token)
        except UpstreamError as error:
            if error.http_status != 401 or not self._credential.refused(asker.organisation, token):
                raise
        token = await self._credential.token(asker.organisation)
        return await self._exchange(operation, parts, idempotency_key, asker, token)

    async def _exchange(
        self, operation: Operation, parts: RequestParts, idempotency_key: str | None, asker: Asker, token: str
    ) -> UpstreamAnswer:
        headers = dict(parts.headers)
        headers |= {
            "Accept": "application/json, application/problem+json",
            ASKER_HEADER: self._sign(asker, operation.id),
        }
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if idempotency_key is not None:
            headers[IDEMPOTENCY_HEADER] = idempotency_key
        if parts.content is not None:
            headers["Content-Type"] = "application/json"
        url = self._settings.base_url + parts.target
        async with self._client.stream(parts.method, url, headers=headers, content=parts.content) as response:
            status = response.status_code
            if status >= 400:
                raise await self._refusal(response)
            if status not in operation.answer_statuses:
                raise self._invalid(f"with the undocumented status {status}", status)
            try:
                raw = await body(response, self._settings.max_answer_bytes)
            except TooMuchError as error:
                raise self._invalid(f"with more than {self._settings.max_answer_bytes} bytes", status) from error
            except (EncodedError, httpx2.RemoteProtocolError) as error:
                raise self._invalid("with a broken body", status) from error
        if token and token.encode() in raw:
            raise self._invalid("with the gateway's own credential in it", status)
        replayed = response.headers.get("idempotency-replayed", "").strip().lower() == "true"
        if status == 204 and not raw:
            return UpstreamAnswer(status, None, replayed, 0)
        try:
            value = answer.parse(raw, response.headers.get("content-type", ""))
        except ValueError as error:
            raise self._invalid(f"with something else than promised: {error}", status) from error
        return UpstreamAnswer(status, value, replayed, len(raw))

    async def _refusal(self, response: httpx2.Response) -> UpstreamError:
        raw = await problem(response)
        if response.status_code == 401:
            message = f"`{self.name}` refused the gateway's own credential; tell an operator"
            return UpstreamError("upstream", message, http_status=401)
        return answer.refusal(
            f"`{self.name}`", response.status_code, response.headers, raw, self._redact, self._clock()
        )

    def _invalid(self, how: str, status: int) -> UpstreamError:
        return UpstreamError("upstream_invalid", f"`{self.name}` answered {how}; tell an operator", http_status=status)


def connect(
    name: str,
    settings: UpstreamSettings,
    *,
    sign: Callable[[Asker, str], str],
    redactor: Redactor,
    clock: Callable[[], float],
    verify: ssl.SSLContext | bool = True,
    resolve: Resolve = resolve,
) -> HttpUpstream:
    """An HttpUpstream with its own connections and the credential that its settings describe."""
    api = client(
        max_connections=settings.max_connections,
        verify=verify,
        through=lambda transport: Gate(name, api_hosts(settings), transport),
    )
    credential: Credential
    if settings.client_secret is not None:
        credential = ClientCredentials(name, settings, api, redactor.register, clock)
    else:
        credential = Bearer(settings.bearer.get_secret_value() if settings.bearer else "", redactor.register)
    blobs = client(max_connections=settings.max_connections, keep_alive=False, verify=verify)
    hosts = StorageHosts(settings.storage_hosts)
    transfer = Transfer(
        name,
        hosts,
        blobs,
        resolve,
        allow_private=settings.allow_private_addresses,
        redact=redactor.redact,
        clock=clock,
    )
    return HttpUpstream(
        name,
        settings,
        sign=sign,
        credential=credential,
        client=api,
        transfer=transfer,
        redact=redactor.redact,
        clock=clock,
    )
