"""AES-256-GCM that authenticates with each value what it belongs to, so that none can be moved elsewhere."""

import json
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel_gateway.errors import GatewayError

NONCE_BYTES = 12  # GCM's own size. Random ones are safe for 2**32 values of one key (NIST SP 800-38D, 8.3)

BelongsTo = tuple[str | int, ...]


class Box:
    """Seals many values under one key. `random(n)` gives n random bytes."""

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        self._cipher, self._random = AESGCM(key), random

    def __repr__(self) -> str:
        return "<Box>"

    def seal(self, plaintext: bytes, belongs_to: BelongsTo) -> bytes:
        """Nonce, ciphertext, tag."""
        nonce = self._random(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, written(belongs_to))

    def open(self, sealed: bytes, belongs_to: BelongsTo) -> bytes:
        """Raises GatewayError `internal` where it was damaged, or belongs to something else."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], written(belongs_to))
        except (InvalidTag, ValueError):
            raise damaged() from None


def written(belongs_to: BelongsTo) -> bytes:
    """A JSON list has one reading, whatever characters the parts hold."""
    return json.dumps(belongs_to).encode()


def damaged() -> GatewayError:
    message = "a stored value was damaged or moved, or the key `vault` is another; restore both from one backup"
    return GatewayError("internal", message)
