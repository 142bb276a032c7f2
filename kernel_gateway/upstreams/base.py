"""To whom the broker speaks: one server, whatever its protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from catalog import Operation
from kernel_gateway.errors import GatewayError
from kernel_gateway.upstreams.hosts import StorageHosts


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is behind a call. Passed on in a signed header; the caller's own token never is."""

    issuer: str
    organisation: str
    subject: str
    client: str
    session_id: str
    cell: int


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """A documented success. `body` is the parsed JSON, None where there is none."""

    status: int
    body: Any
    replayed: bool
    bytes_received: int

    def __repr__(self) -> str:
        return f"<UpstreamAnswer {self.status} {self.bytes_received} bytes>"


class UpstreamError(GatewayError):
    """The upstream did not do it, or did not say so.

    `http_status` is 0 where no answer came. `sent` is False where it is certain that nothing reached the upstream.
    `perhaps_done` is about all attempts: a 4xx answers for its own alone, so `attempted` says whether an earlier one
    may have done it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry_after: float | None = None,
        http_status: int = 0,
        sent: bool = True,
        attempted: bool = False,
    ) -> None:
        super().__init__(code, message, retry_after=retry_after)
        self.http_status, self.sent = http_status, sent or attempted
        self.perhaps_done = attempted or (sent and not 400 <= http_status < 500)


class Upstream(Protocol):
    """Raises UpstreamError with one of the codes upstream, upstream_unavailable, upstream_invalid, deadline, invalid,
    not_found, conflict, limited, too_large."""

    @property
    def name(self) -> str: ...

    @property
    def host(self) -> str:
        """Where calls go to: a host, with its port where that is not the usual one."""

    @property
    def storage(self) -> StorageHosts:
        """Where links in its answers may point to."""

    async def call(
        self,
        operation: Operation,
        arguments: Mapping[str, Any],
        *,
        idempotency_key: str | None,
        asker: Asker,
        deadline_seconds: float,
    ) -> UpstreamAnswer:
        """One attempt. `arguments` are valid for the operation and hold no idempotency key."""

    async def fetch(self, url: str, *, max_bytes: int, deadline_seconds: float) -> tuple[bytes, str]:
        """The bytes behind a link to the server's storage, and their content type ("" where it is not said)."""

    async def store(self, url: str, data: bytes, *, headers: Mapping[str, str], deadline_seconds: float) -> None:
        """PUTs `data` to a link to the server's storage."""

    async def close(self) -> None: ...
