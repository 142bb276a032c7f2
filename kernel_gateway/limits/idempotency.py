"""Derives the idempotency key that an upstream sees, so that no two tenants, callers or operations ever share one."""

import hashlib
import hmac
import json
from collections.abc import Sequence


def upstream_key(secret: bytes, organisation: str, principal: Sequence[str], operation: str, key: str) -> str:
    """HMAC-SHA256 as 64 hex digits. `principal` is Principal.identity. Equal inputs give equal keys, always.

    The text signed is a JSON list: unlike joined strings it has one reading, whatever characters the parts hold.
    """
    text = json.dumps([organisation, list(principal), operation, key], ensure_ascii=True, separators=(",", ":"))
    return hmac.digest(secret, text.encode(), hashlib.sha256).hex()
