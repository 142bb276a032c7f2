"""Signs and verifies links to objects. The law: a signature covers method, id, expiry, content type and size."""

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kernel_gateway.reference.keys import write_private

METHODS = {"put": "PUT", "get": "GET"}
RETIRED_KEY_SECONDS = 86400  # the longest life of an object, so rotating never breaks a link that was given out


@dataclass(frozen=True, slots=True)
class Claim:
    """What one link allows."""

    op: str  # a key of METHODS
    object_id: str
    expires_at: int
    content_type: str
    size_bytes: int

    def text(self) -> bytes:
        parts = (METHODS[self.op], self.object_id, str(self.expires_at), self.content_type, str(self.size_bytes))
        return "\n".join(parts).encode()


class LinkKeys:
    """HMAC keys by id: the current one signs, retired ones verify until they are dropped."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self._keys: dict[str, tuple[bytes, float | None]] = {}
        self._current = ""
        if path.exists():
            self._read()
        else:
            self.rotate()

    def rotate(self) -> None:
        """A new key signs from now on."""
        now = self._clock()
        kept = {kid: (key, now if retired is None else retired) for kid, (key, retired) in self._keys.items()}
        kept = {kid: (key, at) for kid, (key, at) in kept.items() if at + RETIRED_KEY_SECONDS > now}
        self._current = secrets.token_hex(4)
        self._keys = {**kept, self._current: (secrets.token_bytes(32), None)}
        self._write()

    def sign(self, claim: Claim) -> tuple[str, str]:
        """The key's id and the signature."""
        return self._current, _signature(self._keys[self._current][0], claim)

    def verifies(self, kid: str, signature: str, claim: Claim) -> bool:
        key, retired_at = self._keys.get(kid, (b"", 0.0))
        usable = bool(key) and (retired_at is None or retired_at + RETIRED_KEY_SECONDS > self._clock())
        return hmac.compare_digest(_signature(key, claim).encode(), signature.encode()) and usable

    def _read(self) -> None:
        document = json.loads(self._path.read_text(encoding="ascii"))
        self._current = document["current"]
        self._keys = {kid: (bytes.fromhex(key), retired) for kid, (key, retired) in document["keys"].items()}

    def _write(self) -> None:
        keys = {kid: (key.hex(), retired) for kid, (key, retired) in self._keys.items()}
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        write_private(fresh, json.dumps({"current": self._current, "keys": keys}).encode())
        os.replace(fresh, self._path)  # noqa: PTH105 - says that it is atomic

    def __repr__(self) -> str:
        return f"<LinkKeys {len(self._keys)} keys, {self._current} signs>"


def _signature(key: bytes, claim: Claim) -> str:
    digest = hmac.new(key, claim.text(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
