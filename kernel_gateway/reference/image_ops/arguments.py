"""Reads an HTTP request into the keyword arguments of its operation, checked against the operation's own schema.

Every error names its place by a JSON pointer into the arguments, as a URI fragment (RFC 9457's `errors`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema_rs

from catalog import Operation
from kernel_gateway.reference.problems import Problem

_MAX_ERRORS = 20  # enough to mend a request; a hostile body makes thousands
_MAX_DETAIL = 200
_NUMBER = re.compile(r"-?[0-9]{1,15}")


class Reader:
    """One operation's arguments."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        # Masked: a value may be a secret that was put in the wrong place.
        self._validator = jsonschema_rs.validator_for(
            dict(operation.arguments), validate_formats=True, mask="the value"
        )
        self._wire = {each.name: each.wire_name for each in operation.parameters}
        self._has_body = any(each.where == "body" for each in operation.parameters)

    def read(
        self, path: Mapping[str, str], query: Mapping[str, Sequence[str]], headers: Mapping[str, str], body: bytes
    ) -> dict[str, Any]:
        """Raises Problem 400 or 415."""
        given = self._body(headers, body) if self._has_body else {}
        arguments: dict[str, Any] = {}
        known = {"query": set[str](), "body": set[str]()}
        for each in self._operation.parameters:
            if each.where in known:
                known[each.where].add(each.wire_name)
            if each.where == "body":
                if each.wire_name in given:
                    arguments[each.name] = given[each.wire_name]
                continue
            text = _one(query.get(each.wire_name)) if each.where == "query" else None
            text = path.get(each.wire_name) if each.where == "path" else text
            text = headers.get(each.wire_name) if each.where == "header" else text
            if text is not None:
                arguments[each.name] = _number(text) if each.schema.get("type") == "integer" else text
        strangers = [*sorted(given.keys() - known["body"]), *sorted(query.keys() - known["query"])]
        errors = [(_pointer([name]), "is not expected here") for name in strangers]
        errors += [(_pointer([name]), "is given twice") for name, values in query.items() if len(values) > 1]
        errors += self._schema_errors(arguments)
        refuse(errors)
        return arguments

    def _body(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Problem(415, "unsupported_media_type", "The body must be application/json")
        try:
            value = json.loads(body, parse_constant=_refuse_constant)
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair parses, but is not text
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            refuse([("#", "the body must be a JSON object whose texts are whole Unicode characters")])
        return dict(value)

    def _schema_errors(self, arguments: dict[str, Any]) -> list[tuple[str, str]]:
        found = [inner for error in self._validator.iter_errors(arguments) for inner in _inner(error, arguments)]
        return [(self._wired(path), message[:_MAX_DETAIL]) for path, message in found]

    def _wired(self, path: list[str | int]) -> str:
        return _pointer([self._wire.get(str(path[0]), path[0]), *path[1:]] if path else [])


def refuse(errors: Sequence[tuple[str, str]]) -> None:
    """Raises Problem 400 where there are errors."""
    if errors:
        raise Problem(400, "invalid", "The request is not valid", errors=errors[:_MAX_ERRORS])


def _inner(error: jsonschema_rs.ValidationError, arguments: Any) -> list[tuple[list[str | int], str]]:
    """The error, or what is wrong in the one branch of a `oneOf` that the value names by its `op`."""
    path = list(error.instance_path)
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.OneOfNotValid):
        branches = [each for each in error.kind.context if not any(_is_constant(inner) for inner in each)]
        if len(branches) == 1:
            return [found for inner in branches[0] for found in _inner(inner, arguments)]
        return [(path, "is none of the documented forms; `op` says which one is meant")]
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
        return [([*path, error.kind.property], "is required")]
    return [(path, error.message)]


def _is_constant(error: jsonschema_rs.ValidationError) -> bool:
    return isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Constant)


def _one(values: Sequence[str] | None) -> str | None:
    return values[0] if values else None


def _number(text: str) -> int | str:
    return int(text) if _NUMBER.fullmatch(text) else text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _pointer(parts: Sequence[str | int]) -> str:
    """RFC 6901 as a URI fragment."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
