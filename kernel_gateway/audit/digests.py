"""Digests that only the holder of the key can test a guess against, and that mean nothing across organisations."""

import hashlib
import hmac


def keyed_digest(secret: bytes, organisation: str, data: bytes) -> str:
    """64 hex characters."""
    key = hmac.digest(secret, organisation.encode(), hashlib.sha256)
    return hmac.digest(key, data, hashlib.sha256).hex()
