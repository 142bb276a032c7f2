"""Turns an operation and its valid arguments into the parts of a request. Pure: no argument can leave its place."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from catalog import Operation
from kernel_gateway.upstreams.base import UpstreamError

IDEMPOTENCY_HEADER = "Idempotency-Key"
_SLOT = re.compile(r"\{([^{}]*)\}")
_DOTS = frozenset(("", ".", ".."))  # would join, stay in or climb out of a path segment; no encoding of them is safe


@dataclass(frozen=True, slots=True)
class RequestParts:
    """`target` is path and query below the base URL, percent-encoded. repr shows neither: they hold arguments."""

    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes | None

    def __repr__(self) -> str:
        return f"<RequestParts {self.method} {len(self.target)} + {len(self.content or b'')} bytes>"


def build(operation: Operation, arguments: Mapping[str, Any]) -> RequestParts:
    """Raises UpstreamError `invalid`, naming the parameter, for a value that its place cannot carry."""
    path: dict[str, str] = {}
    query: list[tuple[str, str]] = []
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}
    whole: list[Any] = []  # the one argument that is a body which is not a plain object
    for parameter in operation.parameters:
        value = arguments.get(parameter.name)
        if parameter.name not in arguments or (value is None and parameter.where != "body"):
            continue
        if parameter.where == "path":
            path[parameter.wire_name] = _segment(parameter.name, value)
        elif parameter.where == "query":
            query += [(name, _text(parameter.name, each)) for name, each in _form(parameter.wire_name, value)]
        elif parameter.where == "header":
            headers[parameter.wire_name] = _header(parameter.name, value)
        elif parameter.wire_name:
            body[parameter.wire_name] = value
        else:
            whole.append(value)

    def filled(slot: re.Match[str]) -> str:
        if slot[1] not in path:
            raise UpstreamError("invalid", f"`{slot[1]}` is needed in the path; pass it", sent=False)
        return path[slot[1]]

    target = _SLOT.sub(filled, operation.path)
    if query:
        target += "?" + urlencode(query, quote_via=quote, safe="")
    if not whole and any(each.where == "body" and each.wire_name for each in operation.parameters):
        whole.append(body)
    content = json.dumps(whole[0], separators=(",", ":"), allow_nan=False).encode() if whole else None
    return RequestParts(operation.method, target, headers, content)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _unfit(name, "it is not valid Unicode") from error
    return text


def _form(wire_name: str, value: Any) -> list[tuple[str, Any]]:
    """OpenAPI's style `form`, exploded: a list repeats the name, an object's members stand for themselves."""
    if isinstance(value, dict):
        return list(value.items())
    return [(wire_name, each) for each in (value if isinstance(value, list) else [value])]


def _simple(name: str, value: Any) -> list[str]:
    """The parts of OpenAPI's style `simple`, which are joined by commas."""
    return [_text(name, each) for each in (value if isinstance(value, list) else [value])]


def _segment(name: str, value: Any) -> str:
    parts = _simple(name, value)
    if ",".join(parts) in _DOTS:
        raise _unfit(name, "it must be more than dots")
    return ",".join(quote(part, safe="") for part in parts)


def _header(name: str, value: Any) -> str:
    text = ",".join(_simple(name, value))
    if not text.isascii() or not text.isprintable():
        raise _unfit(name, "a header takes printable ASCII only")
    return text


def _unfit(name: str, reason: str) -> UpstreamError:
    return UpstreamError("invalid", f"`{name}` cannot be sent: {reason}", sent=False)
