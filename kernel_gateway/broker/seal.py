"""Makes an answer fit to enter a sandbox: each link becomes a handle or goes. The law: no signed URL passes.

A string that is as a whole a link to the server's storage becomes a handle, marked in the schema or not. Any other
string that the schema marks goes; of the rest, what names the storage or is built like a signed link goes. Keys too.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kernel_gateway.audit.links import signed_urls
from kernel_gateway.broker.marks import NOTHING, Mark
from kernel_gateway.handles import KEY, BlobHandle, Direction
from kernel_gateway.upstreams.base import UpstreamError
from kernel_gateway.upstreams.hosts import REDACTED, StorageHosts, forms

MAX_DEPTH = 64  # levels of one answer; a served schema has at most as many
MAX_KEYS = 5_000  # of one object; a list is the place for more
MAX_HANDLES = 200  # of one answer: more links than a page of results, fewer than push out a session's others
_FOREIGN_HANDLE = "$blob (from the upstream)"  # only the gateway makes handles
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_SHOWN_HEADERS = frozenset(("content-type", "content-length"))


@dataclass(frozen=True, slots=True)
class Link:
    """A link found in an answer, and what the answer and its request say about it. repr shows no secret of it."""

    url: str = field(repr=False)
    direction: Direction
    size: int | None
    content_type: str | None
    expires_at: float | None
    headers: Mapping[str, str] = field(repr=False)


Mint = Callable[[Link], BlobHandle]


def seal(
    body: Any,
    mark: Mark,
    storage: StorageHosts,
    arguments: Mapping[str, Any],
    mint: Mint,
    blocked_fields: frozenset[str] = frozenset(),
) -> tuple[Any, int]:
    """The answer as it may enter the sandbox, and how many handles it has. Raises UpstreamError `upstream_invalid`.

    `blocked_fields`, in lower case, are taken out first, at any depth: not even what is made of them enters.
    """
    sealer = _Sealer(storage, arguments, mint, blocked_fields)
    return sealer.value(body, mark, "", {}, 0), sealer.handles


def without(value: Any, blocked_fields: frozenset[str]) -> Any:
    """A sealed answer that was kept, without the fields that are blocked now; handles stay whole."""
    if isinstance(value, list):
        return [without(each, blocked_fields) for each in value]
    if not isinstance(value, dict) or KEY in value:
        return value
    return {name: without(inner, blocked_fields) for name, inner in value.items() if name.lower() not in blocked_fields}


def clean(text: str, storage: StorageHosts) -> str:
    """`text` without any link to `storage` and anything built like a signed link."""
    text = storage.redact(text)
    parts, at = [], 0
    for start, end in signed_urls(text):
        parts += [text[at:start], REDACTED]
        at = end
    text = "".join((*parts, text[at:]))
    return REDACTED if any(signed_urls(form) for form in forms(text)) else text


class _Sealer:
    """One answer's walk."""

    def __init__(
        self, storage: StorageHosts, arguments: Mapping[str, Any], mint: Mint, blocked_fields: frozenset[str]
    ) -> None:
        self._storage, self._arguments, self._mint = storage, arguments, mint
        self._blocked_fields = blocked_fields
        self.handles = 0
        self._uploads: dict[str, dict[str, Any]] = {}  # by link: two handles would let one link be written twice

    def value(self, value: Any, mark: Mark, name: str, siblings: Mapping[str, Any], depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value, mark, name, siblings)
        if depth > MAX_DEPTH and isinstance(value, dict | list):
            raise UpstreamError(
                "upstream_invalid", f"the answer is nested deeper than {MAX_DEPTH} levels; tell an operator"
            )
        if isinstance(value, dict):
            return self._members(value, mark, depth)
        if isinstance(value, list):
            return [self.value(each, mark.item(), name, {}, depth + 1) for each in value]
        return value

    def _members(self, value: dict[str, Any], mark: Mark, depth: int) -> dict[str, Any]:
        if len(value) > MAX_KEYS:
            raise UpstreamError(
                "upstream_invalid", f"an object of the answer has over {MAX_KEYS} keys; ask for fewer results"
            )
        if self._blocked_fields:
            value = {name: inner for name, inner in value.items() if name.lower() not in self._blocked_fields}
        sealed: dict[str, Any] = {}
        clashes: dict[str, int] = {}
        uploads = False
        for name, inner in value.items():
            member = mark.member(name) if mark is not NOTHING else NOTHING
            result = self.value(inner, member, name, value, depth + 1)
            if isinstance(inner, str) and isinstance(result, dict):
                uploads = uploads or result[KEY]["direction"] == "write"
            sealed[self._name(name, sealed, clashes)] = result
        if uploads and isinstance(sealed.get("headers"), dict):
            sealed["headers"] = {  # they may hold part of the link's authority, and only the gateway sends them
                name: inner if name.lower() in _SHOWN_HEADERS else REDACTED for name, inner in sealed["headers"].items()
            }
        return sealed

    def _name(self, name: str, taken: Mapping[str, Any], clashes: dict[str, int]) -> str:
        """The name without links, unlike any `taken`. `clashes` counts on from one call to the next, or thousands of
        names that are one when cleaned would each search from the start."""
        unique = cleaned = _FOREIGN_HANDLE if name == KEY else clean(name, self._storage)
        while unique in taken:
            clashes[cleaned] = clashes.get(cleaned, 1) + 1
            unique = f"{cleaned} {clashes[cleaned]}"
        return unique

    def _text(self, text: str, mark: Mark, name: str, siblings: Mapping[str, Any]) -> Any:
        if "://" in text and self._storage.hold(text):
            self.handles += 1
            if self.handles > MAX_HANDLES:
                raise UpstreamError(
                    "upstream_invalid", f"the answer has over {MAX_HANDLES} links; ask for fewer results"
                )
            return self._handle(self._link(text, mark, name, siblings))
        return REDACTED if mark.sensitive else clean(text, self._storage)

    def _handle(self, link: Link) -> dict[str, Any]:
        if link.direction == "read":
            return self._mint(link).public()
        if link.url not in self._uploads:
            self._uploads[link.url] = self._mint(link).public()
        return self._uploads[link.url]

    def _link(self, url: str, mark: Mark, name: str, siblings: Mapping[str, Any]) -> Link:
        writes = mark.direction == "write" or (not mark.direction and _is_upload(siblings))
        declared = [self._arguments, siblings] if writes else [siblings]
        content_type = next((text for each in declared if (text := _media_type(each.get("content_type")))), None)
        headers = _headers(siblings.get("headers")) if writes else {}
        if writes and content_type and not any(each.lower() == "content-type" for each in headers):
            headers["Content-Type"] = content_type
        return Link(
            url=url,
            direction="write" if writes else "read",
            size=next((size for each in declared if (size := _size(each.get("size_bytes"))) is not None), None),
            content_type=content_type,
            expires_at=_expiry(name, siblings),
            headers=headers,
        )


def _is_upload(siblings: Mapping[str, Any]) -> bool:
    """For descriptions that do not say `x-direction`: the answer names the method the link is for."""
    method = siblings.get("method")
    return isinstance(method, str) and method.strip().upper() == "PUT"


def _size(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _media_type(value: Any) -> str | None:
    fits = isinstance(value, str) and 0 < len(value) < 128 and value.isascii() and value.isprintable()
    return value if fits else None


def _headers(value: Any) -> dict[str, str]:
    """The ones that can be sent as they are; an odd one was no header."""
    return {
        name: text
        for name, text in (value.items() if isinstance(value, dict) else ())
        if isinstance(text, str) and _HEADER_NAME.fullmatch(name) and text.isascii() and text.isprintable()
    }


def _expiry(name: str, siblings: Mapping[str, Any]) -> float | None:
    """Of `url`: `url_expires_at`, else the only `..._expires_at` beside it, else `expires_at`."""
    others = [key for key in siblings if key.endswith("_expires_at")]
    for key in (f"{name}_expires_at", *(others if len(others) == 1 else ()), "expires_at"):
        if isinstance(text := siblings.get(key), str):
            try:
                at = datetime.fromisoformat(text)
            except ValueError:
                continue
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return None
