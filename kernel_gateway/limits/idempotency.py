"""Derives the idempotency keys of mutations: the same for the same request sent again, different for anything else.

The text signed is always a JSON list: unlike joined strings it has one reading, whatever characters the parts hold.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """What a cell's calls come from. `epoch` counts the branches of a session that went back (0: none did).

    Two runs of one request have equal origins, also in two lives of the gateway: see `of_request`.
    """

    session_id: str
    epoch: int
    cell_id: str
    request_id: str = ""

    @classmethod
    def of_request(cls, asked_session: str, epoch: int, code: str, request_id: str) -> "Origin":
        """Of a cell whose caller named it. `asked_session` is as the caller wrote it, so "" where it asked for a new
        one: the second time, the session it gets is another. Nor is the cell's own id the same: its text is."""
        return cls(asked_session, epoch, hashlib.sha256(code.encode()).hexdigest(), request_id)


@dataclass(slots=True)
class Ordinals:
    """Numbers identical calls of one cell, from 1. A number given back goes to the next: a call that failed and is
    made again is the same call, and carries the same key."""

    _taken: dict[tuple[str, str], set[int]] = field(default_factory=dict)

    def take(self, operation: str, arguments: str) -> int:
        taken = self._taken.setdefault((operation, arguments), set())
        ordinal = next(number for number in range(1, len(taken) + 2) if number not in taken)
        taken.add(ordinal)
        return ordinal

    def give_back(self, operation: str, arguments: str, ordinal: int) -> None:
        self._taken[operation, arguments].discard(ordinal)


def argument_digest(secret: bytes, operation: str, arguments: Mapping[str, Any]) -> str:
    """HMAC-SHA256 as 64 hex digits: a plain digest of a short argument could be guessed."""
    return _signed(secret, ["arguments", operation, arguments])


def derived_key(secret: bytes, origin: Origin, operation: str, arguments: str, ordinal: int) -> str:
    """The key of a call whose caller gave none. `arguments` is their digest. 64 hex digits."""
    parts = [origin.session_id, origin.epoch, origin.cell_id, origin.request_id, operation, arguments, ordinal]
    return _signed(secret, ["derived", *parts])


def upstream_key(secret: bytes, organisation: str, principal: Sequence[str], operation: str, key: str) -> str:
    """The key an upstream sees, so that no two tenants, callers or operations ever share one. 64 hex digits.

    `principal` is Principal.identity; `key` is the caller's or a derived one. Equal inputs give equal keys, always.
    """
    return _signed(secret, [organisation, list(principal), operation, key])


def _signed(secret: bytes, parts: Sequence[Any]) -> str:
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hmac.digest(secret, text.encode(), hashlib.sha256).hex()
