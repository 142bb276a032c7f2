"""The view of a catalog that may enter a sandbox: names, signatures, explanations. No URL, host, path or method."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from catalog.operation import Catalog, Operation
from catalog.signature import annotate, answer_lines, choices

VERSION = 1
SIGNED_URL = "signed-url"  # the `x-sensitive` value of a string that is replaced by a handle

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>)\]}`]*")
_STRING_ONLY = {"type", "format", "pattern", "minLength", "maxLength", "const", "enum", "default"}


def manifest(catalog: Catalog) -> dict[str, Any]:
    """JSON, in the catalog's order; the shape is that of `kernel_ext`'s generated client."""
    servers: dict[str, Any] = {}
    for operation in catalog.operations:
        server = servers.setdefault(operation.server, {"title": _scrub(operation.server_title), "operations": []})
        server["operations"].append(_entry(operation))
    return {"version": VERSION, "servers": servers}


def _entry(operation: Operation) -> dict[str, Any]:
    entry = {
        "id": operation.id,
        "name": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "effect": operation.effect.value,
        "scope": operation.scope,
        "idempotency": operation.idempotency.value,
        "parameters": [
            {
                "name": each.name,
                "required": each.required,
                "schema": with_handles(each.schema),
                "description": each.description,
                "annotation": annotate(each.schema),
                "choices": choices(each.schema),
            }
            for each in operation.parameters
        ],
        "arguments": with_handles(operation.arguments),
        "answer": with_handles(operation.answer),
        "returns": answer_lines(operation.answer),
    }
    scrubbed = _scrub(entry)
    assert isinstance(scrubbed, dict)
    return scrubbed


def with_handles(schema: Any) -> Any:
    """The schema as cell code sees it: a signed URL is a Blob handle there, still marked `x-sensitive`."""
    if isinstance(schema, list):
        return [with_handles(inner) for inner in schema]
    if not isinstance(schema, Mapping):
        return schema
    if schema.get("x-sensitive") != SIGNED_URL:
        return {key: with_handles(inner) for key, inner in schema.items()}
    kind = schema.get("type")
    described = schema.get("description", "")
    return {
        **{key: inner for key, inner in schema.items() if key not in _STRING_ONLY},
        "type": ["object", "null"] if isinstance(kind, list) and "null" in kind else "object",
        "description": f"Blob handle. {described}".strip(),
    }


def _scrub(value: Any) -> Any:
    """Text without links: a reviewed document has none (lint), any other may have many."""
    if isinstance(value, str):
        return _URL.sub("(link)", value)
    if isinstance(value, Mapping):
        return {key: _scrub(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(inner) for inner in value]
    return value
