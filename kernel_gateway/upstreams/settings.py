"""One upstream server: where it is, how the gateway proves itself to it, and what is accepted from it."""

from typing import Self

import httpx2
from pydantic import Field, SecretStr, field_validator, model_validator

from kernel_gateway.config import Section
from kernel_gateway.upstreams.hosts import StorageHosts, is_loopback_name

MiB = 1024 * 1024


class UpstreamSettings(Section):
    """Either a token service (client credentials) or a static bearer, or neither for a server that asks for none."""

    base_url: str  # real or reference: nothing else changes
    storage_hosts: tuple[str, ...] = ()  # "host" (default port) or "host:port"; links elsewhere never become blobs
    allowed_hosts: tuple[str, ...] = ()  # as above; where given, nothing here may name any other host
    token_url: str = ""
    client_id: str = ""
    client_secret: SecretStr | None = None
    bearer: SecretStr | None = None
    scopes: tuple[str, ...] = ()
    timeout_seconds: float = Field(30.0, gt=0)
    max_answer_bytes: int = Field(MiB, ge=1024)  # more is not an answer but a file
    max_blob_bytes: int = Field(50 * MiB, ge=1)
    max_connections: int = Field(32, ge=1)  # to this server at once; more wait for a free one until their deadline
    allow_private_addresses: bool = False  # storage on a private or loopback address: the embedded world, a test set-up

    @field_validator("base_url", "token_url")
    @classmethod
    def _secure(cls, value: str) -> str:
        if not value:
            return value
        try:
            url = httpx2.URL(value)
        except httpx2.InvalidURL as error:
            raise ValueError(f"`{value}` is not a URL") from error
        if url.userinfo or url.query or url.fragment or not url.host:
            raise ValueError("write scheme, host, port and path only")
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback_name(url.host)):
            raise ValueError(f"`{value}` must be https; plain http is for loopback only")
        return value.rstrip("/")

    @field_validator("storage_hosts", "allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        StorageHosts(value)
        return value

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        allowed = StorageHosts(self.allowed_hosts)
        named = [self.base_url, self.token_url, *(f"https://{host}" for host in self.storage_hosts)]
        for url in named if self.allowed_hosts else ():
            if url and not allowed.hold(url):
                raise ValueError(f"`{url}` is at a host that is not in allowed_hosts; add it there or take it out here")
        return self

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        client = (bool(self.token_url), bool(self.client_id), self.client_secret is not None)
        if any(client) and not all(client):
            raise ValueError("token_url, client_id and client_secret go together; set all three")
        if all(client) and self.bearer is not None:
            raise ValueError("set either bearer or token_url with its client, not both")
        if not self.base_url:
            raise ValueError("base_url is empty; write the server's URL")
        return self
