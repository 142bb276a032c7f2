"""Makes one JSON schema of a document self-contained: references resolved, only keywords that constrain or explain.

A served (strict) document must be finite, so a recursive model is an error there. Any other document is cut instead:
what lies beyond the limits becomes `{}`, which accepts anything, so that a large or recursive model never explodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from catalog.document import DocumentError, target

Schema = dict[str, Any]

MAX_STRICT_SCHEMAS = 2_000  # subschemas in one argument or answer of a reviewed operation: a person has to read them
MAX_LENIENT_SCHEMAS = 400  # enough to search by; a thousand operations still load in about a second
MAX_NESTING = 64  # levels in one schema: far below the interpreter's recursion limit

_ONE = {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"}
_ONE |= {"unevaluatedProperties", "unevaluatedItems"}
_MANY = {"allOf", "anyOf", "oneOf", "prefixItems"}
_NAMED = {"properties", "patternProperties", "dependentSchemas"}
_NOTES = {"title", "description", "default", "deprecated", "readOnly", "writeOnly"}
_MARKS = ("x-sensitive", "x-direction")  # of a signed link: that it is one, and whether it is for reading or writing
_TEXTS = ("title", "description", "format", "pattern", "contentEncoding", "contentMediaType", *_MARKS)
_NUMBERS = ("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = ("minItems", "maxItems", "minContains", "maxContains", "minProperties", "maxProperties")
_FLAGS = ("uniqueItems", "deprecated", "readOnly", "writeOnly")
_LITERAL: dict[str, type | tuple[type, ...]] = {  # and what may stand there
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys((*_NUMBERS, *_COUNTS), (int, float)),
    **dict.fromkeys(_FLAGS, bool),
    **dict.fromkeys(("default", "const"), object),
    **dict.fromkeys(("enum", "required"), list),
    "type": (str, list),
    "dependentRequired": Mapping,
}
_DROPPED = {"example", "examples", "xml", "externalDocs", "discriminator", "nullable", "$comment", "$defs"}


class Schemas:
    """Resolves the schemas of one document. Not for concurrent use."""

    def __init__(self, document: Mapping[str, Any], *, strict: bool) -> None:
        self._document, self._strict = document, strict
        self._limit = MAX_STRICT_SCHEMAS if strict else MAX_LENIENT_SCHEMAS
        self._left = 0

    def resolve(self, schema: Any, pointer: str = "") -> Schema:
        """A self-contained copy. Raises DocumentError: in a strict document for whatever cannot be kept exactly."""
        self._left = self._limit
        try:
            return self._walk(schema, (), 0)
        except DocumentError as error:
            raise DocumentError(error.message, error.pointer or pointer) from error

    def _walk(self, schema: Any, trail: tuple[str, ...], depth: int) -> Schema:
        """`trail` is the references that led here."""
        if isinstance(schema, bool):
            return {} if schema else {"not": {}}
        if not isinstance(schema, Mapping):
            return self._cut("a schema must be an object")
        self._left -= 1
        if self._left < 0 or depth > MAX_NESTING:
            return self._cut(f"the schema has over {self._limit} parts or {MAX_NESTING} levels; offer a smaller one")
        if "$ref" in schema:
            return self._referenced(schema, trail, depth)
        return {key: kept for key, value in schema.items() for kept in self._keyword(schema, key, value, trail, depth)}

    def _referenced(self, schema: Mapping[str, Any], trail: tuple[str, ...], depth: int) -> Schema:
        reference = schema["$ref"]
        if not isinstance(reference, str):
            return self._cut("a $ref must be text")
        if reference in trail:
            return self._cut(f"`{reference}` contains itself; a served model must be finite")
        try:
            pointed = target(self._document, reference)
        except DocumentError:
            if self._strict:
                raise
            return {}
        resolved = self._walk(pointed, (*trail, reference), depth + 1)
        beside = self._walk({key: value for key, value in schema.items() if key != "$ref"}, trail, depth + 1)
        if not beside:
            return resolved
        if beside.keys() <= _NOTES.union(_MARKS):
            return resolved | beside
        return {"allOf": [resolved, beside]}  # constraints beside a reference add to it, they never replace

    def _keyword(
        self, schema: Mapping[str, Any], key: str, value: Any, trail: tuple[str, ...], depth: int
    ) -> tuple[Any, ...]:
        """The value to keep, or nothing."""
        if key == "additionalProperties" and isinstance(value, bool):
            return (value,)  # `false` is better known than its long form
        if key in _ONE and isinstance(value, Mapping | bool):
            return (self._walk(value, trail, depth + 1),)
        if key in _MANY and isinstance(value, list):
            return ([self._walk(each, trail, depth + 1) for each in value],)
        if key in _NAMED and isinstance(value, Mapping):
            return ({str(name): self._walk(each, trail, depth + 1) for name, each in value.items()},)
        if key in _LITERAL and isinstance(value, _LITERAL[key]):
            return self._literal(schema, key, value)
        if self._strict and key not in _DROPPED and not key.startswith("x-"):
            raise DocumentError(f"the schema keyword `{key}` is not supported in this form; leave it out")
        return ()

    @staticmethod
    def _literal(schema: Mapping[str, Any], key: str, value: Any) -> tuple[Any, ...]:
        """OpenAPI 3.0 wrote `nullable` and boolean exclusive bounds; from 3.1 on they are `type` and numbers."""
        if key == "type" and isinstance(value, str) and schema.get("nullable") is True:
            return ([value, "null"],)
        if key == "enum" and isinstance(value, list) and schema.get("nullable") is True and None not in value:
            return ([*value, None],)
        if key.startswith("exclusive") and isinstance(value, bool):
            bound = schema.get("minimum" if key == "exclusiveMinimum" else "maximum")
            return (bound,) if value and bound is not None else ()
        if key == "type" and isinstance(value, list):
            return ([each for each in value if isinstance(each, str)],)
        return (_json(value),)

    def _cut(self, reason: str) -> Schema:
        if self._strict:
            raise DocumentError(reason)
        return {}


def _json(value: Any, depth: int = 0) -> Any:
    """A literal as JSON: other people's YAML loaders leave dates and numeric keys in it."""
    if depth > MAX_NESTING:
        return None
    if isinstance(value, Mapping):
        return {str(key): _json(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner, depth + 1) for inner in value]
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
