"""Whose keys a real service believes."""

import json
from collections.abc import Callable
from typing import Any

from kernel_gateway.auth.jwks import HttpFetch
from kernel_gateway.reference.keys import KID_PREFIX


def without_reference_keys(fetch: HttpFetch) -> Callable[[str], Any]:
    """Whoever can read a reference world's folder can mint its tokens: a real service believes none of them."""

    async def refusing(url: str) -> bytes:
        document = json.loads(await fetch(url))
        entries = document.get("keys", []) if isinstance(document, dict) else []
        real = [each for each in entries if not str(each.get("kid", "")).strip().casefold().startswith(KID_PREFIX)]
        return json.dumps({"keys": real}).encode()

    return refusing
