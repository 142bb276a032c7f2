"""Approval tokens: what was agreed to, in a form that cannot be changed, moved or made up. Pure.

A token is HMAC-SHA256 over the canonical JSON of its terms and of its own id and times. It carries no terms, only keyed
hints of each group of them, so that a refusal can say what is another now: the hints decide nothing else. Whether it
was used before is for whoever keeps the ids.
"""

import base64
import binascii
import hashlib
import hmac
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kernel_gateway.errors import GatewayError

PREFIX = "kga_"
_ID_BYTES, _HINT_BYTES, _MAC_BYTES = 16, 6, 32
_TIMES = struct.Struct(">dd")


@dataclass(frozen=True, slots=True)
class Terms:
    """All that an approval is for. `principal` is Principal.identity; `plan` is Plan.canonical, or one call."""

    text: str
    session: str
    principal: tuple[str, ...]
    scopes: tuple[str, ...]
    role: str
    state: str
    catalog: str
    policy: str
    plan: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of itself. Times in seconds since the epoch."""

    id: str
    issued_at: float
    expires_at: float


_GROUPS = {
    "approval_session": ("session", "principal"),
    "approval_changed": ("text", "scopes", "role", "plan"),
    "approval_catalog": ("catalog",),
    "approval_policy": ("policy",),
    "approval_state": ("state",),
}
_SAYS = {
    "approval_session": "the approval is another session's or caller's; send it with the `session_id` it came with",
    "approval_changed": "the cell, its plan or your scopes are not what was approved; ask again with validate_only",
    "approval_catalog": "the operations have changed since the approval; ask again with validate_only",
    "approval_policy": "the policy has changed since the approval; ask again with validate_only",
    "approval_state": "a cell has run in the session since the approval; ask again with validate_only",
    "approval_expired": "the approval has expired; ask again with validate_only",
    "approval_used": "the approval was used before; ask again with validate_only",
    "approval_invalid": "this is not an approval token of this service; ask for one with validate_only",
    "approval_denied": "the approval was denied; nothing was sent",
}


def refusal(code: str) -> GatewayError:
    """The one line for each way in which an approval fails."""
    return GatewayError(code, _SAYS[code], rule="approval")


def canonical(value: Any) -> bytes:
    """Sorted, compact, ASCII: equal values have equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def difference(agreed: Terms, now: Terms) -> str:
    """The code of the first group of terms that differs, or "" where none does."""
    if agreed == now:
        return ""
    return next((code for code in _GROUPS if _part(agreed, code) != _part(now, code)), "")


def mint(key: bytes, claims: Claims, terms: Terms) -> str:
    """`claims.id` is `apr_` and 32 hexadecimal digits. Equal inputs give equal tokens."""
    head = bytes.fromhex(claims.id.removeprefix("apr_")) + _TIMES.pack(claims.issued_at, claims.expires_at)
    hints = b"".join(_hint(key, head, code, terms) for code in _GROUPS)
    return PREFIX + base64.urlsafe_b64encode(head + hints + _mac(key, head + hints, terms)).decode().rstrip("=")


def read(token: str) -> Claims:
    """What it says, which nobody has vouched for yet. Raises GatewayError approval_invalid."""
    head = _split(token)[0]
    return Claims("apr_" + head[:_ID_BYTES].hex(), *_TIMES.unpack(head[_ID_BYTES:]))


def verify(key: bytes, token: str, terms: Terms, now: float) -> Claims:
    """Raises GatewayError approval_session | _changed | _catalog | _policy | _state | _expired | _invalid."""
    head, hints, mac = _split(token)
    if not hmac.compare_digest(mac, _mac(key, head + b"".join(hints.values()), terms)):
        agrees = [hmac.compare_digest(hints[code], _hint(key, head, code, terms)) for code in _GROUPS]
        is_ours = any(agrees)  # with all hints wrong it was made by hand, or with another key
        raise refusal(list(_GROUPS)[agrees.index(False)] if is_ours and not all(agrees) else "approval_invalid")
    claims = read(token)
    if not now < claims.expires_at:
        raise refusal("approval_expired")
    return claims


def _part(terms: Terms, code: str) -> bytes:
    values = asdict(terms)
    return canonical([values[name] for name in _GROUPS[code]])


def _hint(key: bytes, head: bytes, code: str, terms: Terms) -> bytes:
    return hmac.digest(key, b"hint:" + code.encode() + b":" + head + _part(terms, code), hashlib.sha256)[:_HINT_BYTES]


def _mac(key: bytes, rest: bytes, terms: Terms) -> bytes:
    """Over the rest of the token and the terms; the rest has one length, so that no byte can change sides."""
    return hmac.digest(key, b"approval:" + rest + canonical(asdict(terms)), hashlib.sha256)


def _split(token: str) -> tuple[bytes, dict[str, bytes], bytes]:
    """Head, hints by code, and MAC. A token has one spelling."""
    text = token.removeprefix(PREFIX)
    try:
        content = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise refusal("approval_invalid") from None
    head_bytes, size = _ID_BYTES + _TIMES.size, _HINT_BYTES * len(_GROUPS)
    is_canonical = PREFIX + base64.urlsafe_b64encode(content).decode().rstrip("=") == token
    if len(content) != head_bytes + size + _MAC_BYTES or not is_canonical:
        raise refusal("approval_invalid")
    starts = range(head_bytes, head_bytes + size, _HINT_BYTES)
    hints = {code: content[start : start + _HINT_BYTES] for code, start in zip(_GROUPS, starts, strict=True)}
    return content[:head_bytes], hints, content[-_MAC_BYTES:]
