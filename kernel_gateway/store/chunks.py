"""Chunks as they come from the sandbox, and as they are stored: named, addressed, packed, encrypted. No I/O."""

import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel_gateway.errors import GatewayError
from kernel_gateway.store.sealing import NONCE_BYTES, damaged, written

MAX_CHUNK_BYTES = 1024 * 1024  # what the sandbox cuts; larger ones would share less and take longer to move at once
TAG_BYTES = 16
_NAME = re.compile(r"[0-9a-f]{32}")
_ONCE = bytes(NONCE_BYTES)  # a chunk's key encrypts that chunk and nothing else, so there is no second nonce to differ
_LEVEL = 1  # of zlib: the others take several times as long for a few percent
_SAMPLE_BYTES = 4096
_TOO_SMALL_BYTES = 2048  # a page of the database holds it either way, and zlib takes 50 us to begin
_WORTH_IT = 0.9  # of the size; what is left above that is not worth inflating again


@dataclass(frozen=True, slots=True)
class Chunk:
    """`name` is what the sandbox calls it, `digest` the SHA-256 of `data`."""

    name: str
    digest: bytes
    data: bytes | memoryview

    @classmethod
    def arriving(cls, name: str, data: bytes | memoryview) -> "Chunk":
        """Raises GatewayError `invalid` where `data` is not what `name` stands for."""
        if len(data) > MAX_CHUNK_BYTES:
            raise GatewayError("invalid", f"a chunk has {len(data)} bytes; cut it at {MAX_CHUNK_BYTES}")
        digest = hashlib.sha256(data).digest()
        if digest.hex()[:32] != name:
            raise GatewayError("invalid", "a chunk is not what its name says; name it by the SHA-256 of its bytes")
        return cls(name, digest, data)

    def address(self, organisation_key: bytes) -> str:
        """The same for the same bytes of one organisation; says nothing to whoever lacks the key. 64 hex digits."""
        return hmac.digest(organisation_key, self.digest, hashlib.sha256).hex()


@dataclass(frozen=True, slots=True)
class Stored:
    """A chunk as it lies on the disk; `body` is its ciphertext, None where that is in a file."""

    chunk_id: str
    address: str
    packing: str
    size: int
    stored: int
    body: bytes | None

    def belongs_to(self, organisation: str) -> bytes:
        return written(("chunk", organisation, self.address, self.packing, self.size))


def seal(chunk: Chunk, address: str, organisation: str, random: Callable[[int], bytes]) -> tuple[Stored, bytes]:
    """With its ciphertext as the body, and with its key."""
    packing, packed = _pack(chunk.data)
    key, chunk_id = random(32), random(16).hex()
    stored = Stored(chunk_id, address, packing, len(chunk.data), len(packed) + TAG_BYTES, None)
    body = AESGCM(key).encrypt(_ONCE, packed, stored.belongs_to(organisation))
    return Stored(chunk_id, address, packing, stored.size, stored.stored, body), key


def unseal(
    stored: Stored, key: bytes, organisation: str, ciphertext: bytes | memoryview, room: memoryview
) -> bytes | memoryview:
    """The plaintext, which may be a view of `room`: that has MAX_CHUNK_BYTES. Raises GatewayError `internal`."""
    try:
        packed = room[: max(0, len(ciphertext) - TAG_BYTES)]
        AESGCM(key).decrypt_into(_ONCE, ciphertext, stored.belongs_to(organisation), packed)
        return packed if stored.packing == "raw" else zlib.decompressobj().decompress(packed, stored.size)
    except (InvalidTag, ValueError, zlib.error):
        raise damaged() from None


def names_in(manifest: bytes) -> frozenset[str]:
    """Which chunks a manifest of the sandbox names. Raises GatewayError `invalid`."""
    try:
        names = frozenset(_names(json.loads(manifest)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise GatewayError("invalid", "the manifest cannot be read; nothing of it is kept") from None
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise GatewayError("invalid", "the manifest names what is no chunk; a name is 32 hex digits")
    return names


def _names(manifest: Any) -> Iterator[Any]:
    for unit in manifest["units"]:
        if "stream" in unit:
            yield from unit["stream"]["chunks"]
        for buffer in unit.get("buffers", ()):
            yield from buffer["chunks"]


def _pack(data: bytes | memoryview) -> tuple[str, bytes | memoryview]:
    """Compressed where that makes it smaller; three samples say whether to try."""
    view = memoryview(data)
    if len(view) < _TOO_SMALL_BYTES:
        return "raw", data
    if len(view) > 3 * _SAMPLE_BYTES:
        places = (0, len(view) // 2, len(view) - _SAMPLE_BYTES)
        sampled = sum(len(zlib.compress(view[place : place + _SAMPLE_BYTES], _LEVEL)) for place in places)
        if sampled > 3 * _SAMPLE_BYTES * _WORTH_IT:
            return "raw", data
    packed = zlib.compress(view, _LEVEL)
    return ("zlib", packed) if len(packed) < len(view) * _WORTH_IT else ("raw", data)
