"""An issuer's public keys: fetched, bounded, kept. Nobody outside can make us fetch more often than settings allow."""

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
from tornado.httpclient import AsyncHTTPClient

from kernel_gateway.auth.settings import AuthSettings

log = logging.getLogger(__name__)

Fetch = Callable[[str], Awaitable[bytes]]

MAX_KEYS = 64  # an issuer publishes two or three; the rest would only cost parsing
MAX_KEY_ID_LENGTH = 256
MIN_RSA_BITS = 2048  # RFC 7518, 3.3
_ALGORITHM_OF = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}


class HttpFetch:
    """Gets a key set over HTTP: no redirects, a size cap, a deadline, certificates checked."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._client: AsyncHTTPClient | None = None  # made on first use: it binds to the running loop

    async def __call__(self, url: str) -> bytes:
        if self._client is None:
            self._client = AsyncHTTPClient(force_instance=True, max_body_size=self._settings.max_jwks_bytes)
        deadline = self._settings.jwks_timeout_seconds
        response = await self._client.fetch(
            url, follow_redirects=False, connect_timeout=deadline, request_timeout=deadline, decompress_response=False
        )
        return response.body

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


def parse(data: bytes) -> dict[str, jwt.PyJWK]:
    """The signature keys by `kid` (RFC 7517, 5), without those we would not verify with. Raises ValueError."""
    try:
        document = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JSON web key set")
    keys: dict[str, jwt.PyJWK] = {}
    for entry in entries[:MAX_KEYS]:
        if isinstance(entry, dict) and (key := _usable(entry)) is not None:
            keys.setdefault(entry["kid"], key)
    if not keys:
        raise ValueError("no usable signature key")
    return keys


def _usable(entry: dict[str, Any]) -> jwt.PyJWK | None:
    kid, kty, crv = entry.get("kid"), entry.get("kty"), entry.get("crv")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KEY_ID_LENGTH:
        return None
    if not isinstance(kty, str) or not isinstance(crv, str | None):
        return None
    algorithm = _ALGORITHM_OF.get((kty, crv))
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    if "d" in entry:  # a published private key signs for everybody
        return None
    try:
        key = jwt.PyJWK(entry, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if algorithm == "RS256" and key.key.key_size < MIN_RSA_BITS:
        return None
    return key


class KeySet:
    """One issuer's keys. A refresh that fails leaves the old ones in use until they are too stale to trust."""

    def __init__(self, url: str, fetch: Fetch, settings: AuthSettings, clock: Callable[[], float]) -> None:
        self._url, self._fetch, self._settings, self._clock = url, fetch, settings, clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -math.inf
        self._next_fetch_at = -math.inf
        self._refresh: asyncio.Task[None] | None = None
        self._slow = False  # the issuer has kept a caller waiting and has not answered since

    def __repr__(self) -> str:
        return f"<KeySet {len(self._keys)} keys, fetched_at={self._fetched_at}>"

    async def get(self, kid: str) -> jwt.PyJWK | None:
        """The key, fetching the set first where it is old or does not have the key and the cool-down allows.

        For a key that is old, not stale, one caller waits a little, so that an issuer in health is believed when it
        withdraws a key; while it does not answer, everybody else has the kept key at once.
        """
        age = self._clock() - self._fetched_at
        known = kid in self._keys and age < self._settings.jwks_stale_seconds
        if not (known and age < self._settings.jwks_ttl_seconds):
            await self._refreshed(self._patience_seconds() if known else None)
        if self._clock() - self._fetched_at >= self._settings.jwks_stale_seconds:
            return None
        return self._keys.get(kid)

    def _patience_seconds(self) -> float:
        return 0.0 if self._slow else self._settings.jwks_patience_seconds

    async def _refreshed(self, patience_seconds: float | None) -> None:
        """One fetch for everybody who waits, for so long at most. A caller that leaves does not take it from others."""
        if self._refresh is None:
            if self._clock() < self._next_fetch_at:
                return
            self._refresh = asyncio.create_task(self._fetch_keys(), name="jwks refresh")
            self._refresh.add_done_callback(self._refresh_ended)
        _, running = await asyncio.wait({self._refresh}, timeout=patience_seconds)
        self._slow = self._slow or bool(running)

    def _refresh_ended(self, _task: "asyncio.Task[None]") -> None:
        self._refresh = None

    async def _fetch_keys(self) -> None:
        try:
            async with asyncio.timeout(self._settings.jwks_timeout_seconds):
                data = await self._fetch(self._url)
            if len(data) > self._settings.max_jwks_bytes:
                raise ValueError("larger than auth.max_jwks_bytes")
            keys = parse(data)
        except Exception as error:  # whatever the issuer sends: its keys stay as they were
            log.warning("cannot refresh the signing keys at %s: %s", self._url, type(error).__name__)
            self._next_fetch_at = self._clock() + self._settings.jwks_retry_seconds
            return
        self._keys, self._fetched_at, self._slow = keys, self._clock(), False
        self._next_fetch_at = self._fetched_at + self._settings.jwks_cooldown_seconds
