"""The gateway's own right to call an upstream, per organisation. The caller's token is never passed on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import httpx2

from kernel_gateway.upstreams import answer
from kernel_gateway.upstreams.base import UpstreamError
from kernel_gateway.upstreams.client import EncodedError, TooMuchError, body
from kernel_gateway.upstreams.settings import UpstreamSettings

_RENEW_BEFORE_SECONDS = 30.0  # the upstream's clock may run ahead, and the call itself takes time
_DEFAULT_LIFETIME_SECONDS = 300.0  # RFC 6749 lets a server leave expires_in out
_MAX_TOKEN_ANSWER_BYTES = 64 * 1024


class Credential(Protocol):
    async def token(self, organisation: str) -> str:
        """A bearer token, "" where the server asks for none. Raises UpstreamError."""

    def refused(self, organisation: str, token: str) -> bool:
        """The upstream answered 401 to `token`: forget it. True where asking again may give another."""


class Bearer:
    """A static token from config, or none at all."""

    def __init__(self, token: str, register: Callable[[str], None]) -> None:
        self._token, self._register = token, register

    def __repr__(self) -> str:
        return f"<Bearer {'set' if self._token else 'absent'}>"

    async def token(self, organisation: str) -> str:
        if self._token:
            self._register(self._token)
        return self._token

    def refused(self, organisation: str, token: str) -> bool:
        return False


@dataclass(frozen=True, slots=True, repr=False)
class _Token:
    value: str
    renew_at: float


class ClientCredentials:
    """OAuth 2.0 client credentials (RFC 6749, 4.4; RFC 8707 `resource`). One request at a time per organisation."""

    def __init__(
        self,
        name: str,
        settings: UpstreamSettings,
        client: httpx2.AsyncClient,
        register: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        assert settings.client_secret is not None
        self._name, self._settings, self._client = name, settings, client
        self._register, self._clock = register, clock
        self._tokens: dict[str, _Token] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def __repr__(self) -> str:
        return f"<ClientCredentials {self._name} for {len(self._tokens)} organisations>"

    async def token(self, organisation: str) -> str:
        if (held := self._held(organisation)) is not None:
            return held
        lock = self._locks.setdefault(organisation, asyncio.Lock())
        async with lock:
            if (held := self._held(organisation)) is not None:  # whoever held the lock before us fetched it
                return held
            fresh = await self._request(organisation)
            self._tokens[organisation] = fresh
            return fresh.value

    def refused(self, organisation: str, token: str) -> bool:
        held = self._tokens.get(organisation)
        if held is not None and held.value == token:
            del self._tokens[organisation]
        return True

    def _held(self, organisation: str) -> str | None:
        held = self._tokens.get(organisation)
        if held is None or not self._clock() < held.renew_at:
            return None
        self._register(held.value)  # again: what is in use must not be the oldest value that a register drops
        return held.value

    async def _request(self, organisation: str) -> _Token:
        settings = self._settings
        assert settings.client_secret is not None
        secret = settings.client_secret.get_secret_value()
        self._register(secret)
        form = {
            "grant_type": "client_credentials",
            "scope": " ".join(settings.scopes),
            "resource": settings.base_url,
            "organisation": organisation,
        }
        try:
            async with self._client.stream(
                "POST", settings.token_url, data=form, auth=httpx2.BasicAuth(settings.client_id, secret)
            ) as response:
                raw = await body(response, _MAX_TOKEN_ANSWER_BYTES)
        except httpx2.TransportError as error:
            message = f"the token service of `{self._name}` cannot be reached; try again later"
            raise UpstreamError("upstream_unavailable", message, sent=False) from error
        except (TooMuchError, EncodedError) as error:
            raise self._unusable(response.status_code) from error
        if response.status_code != 200:
            raise self._refusal(response)
        try:
            granted = answer.parse(raw, response.headers.get("content-type", ""))
        except ValueError as error:
            raise self._unusable(response.status_code) from error
        value = granted.get("access_token") if isinstance(granted, dict) else None
        if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
            raise self._unusable(response.status_code)
        self._register(value)
        lifetime = granted.get("expires_in")
        if not isinstance(lifetime, int | float) or isinstance(lifetime, bool):
            lifetime = _DEFAULT_LIFETIME_SECONDS
        return _Token(value, self._clock() + lifetime - _RENEW_BEFORE_SECONDS)

    def _refusal(self, response: httpx2.Response) -> UpstreamError:
        status = response.status_code
        if status == 429 or status >= 500:
            message = f"the token service of `{self._name}` answered {status}; try again later"
            wait = answer.retry_after(response.headers, self._clock())
            return UpstreamError("upstream_unavailable", message, retry_after=wait, http_status=status, sent=False)
        message = f"the token service of `{self._name}` refused the gateway's credential ({status}); tell an operator"
        return UpstreamError("upstream", message, http_status=status, sent=False)

    def _unusable(self, status: int) -> UpstreamError:
        message = f"the token service of `{self._name}` sent no usable token; tell an operator"
        return UpstreamError("upstream_invalid", message, http_status=status, sent=False)
