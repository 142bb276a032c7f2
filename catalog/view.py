"""How rules look at a document of any shape: what is missing or odd is empty, and all has a JSON pointer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from catalog.document import DocumentError, escape, follow, target
from catalog.openapi import Source, json_content, sources

_ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "dependentSchemas")
_DATA = ("example", "examples", "default", "enum", "const")  # what stands under them is not OpenAPI


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def split_url(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def types(schema: Mapping[str, Any]) -> set[str]:
    """The types a schema names, and those its keywords betray."""
    named = schema.get("type")
    found = {each for each in (named if isinstance(named, list) else [named]) if isinstance(each, str)}
    return found | ({"object"} if "properties" in schema else set()) | ({"array"} if "items" in schema else set())


def all_sources(document: Mapping[str, Any]) -> list[Source]:
    try:
        return list(sources(document))
    except DocumentError:
        return []


def declared_scopes(document: Mapping[str, Any], scheme: str) -> set[str]:
    flows = mapping(
        mapping(mapping(mapping(document.get("components")).get("securitySchemes")).get(scheme)).get("flows")
    )
    return {str(scope) for flow in flows.values() for scope in mapping(mapping(flow).get("scopes"))}


def parameters(document: Mapping[str, Any], source: Source) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The operation's parameters and the path item's, each where it is written."""
    for base, holder in ((source.pointer, source.text), (source.pointer.rpartition("/")[0], source.item)):
        for number, parameter in enumerate(listed(holder.get("parameters"))):
            yield followed(document, parameter, f"{base}/parameters/{number}")


def responses(document: Mapping[str, Any], source: Source) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for status, response in mapping(source.text.get("responses")).items():
        yield str(status), *followed(document, response, f"{source.pointer}/responses/{escape(str(status))}")


def request_schemas(document: Mapping[str, Any], source: Source) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema that an argument can reach, each once."""
    seen: set[str] = set()
    for pointer, parameter in parameters(document, source):
        yield from schemas(document, parameter.get("schema"), f"{pointer}/schema", seen)
    pointer, body = followed(document, source.text.get("requestBody"), f"{source.pointer}/requestBody")
    yield from schemas(document, mapping(json_content(body)).get("schema"), f"{pointer}/content", seen)


def answer_schemas(document: Mapping[str, Any], source: Source) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema that a successful answer can reach, each once."""
    seen: set[str] = set()
    for status, pointer, response in responses(document, source):
        if status.startswith("2"):
            yield from schemas(document, mapping(json_content(response)).get("schema"), f"{pointer}/content", seen)


def schemas(
    document: Mapping[str, Any], schema: Any, pointer: str, seen: set[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A schema and all within it, references followed, each place once."""
    waiting = [(pointer, schema)]
    while waiting:
        pointer, schema = waiting.pop()
        if pointer in seen or not isinstance(schema, Mapping):
            continue
        seen.add(pointer)
        yield pointer, schema
        waiting.extend(reversed(list(_inner(document, schema, pointer))))


def _inner(document: Mapping[str, Any], schema: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, Any]]:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        with suppress(DocumentError):  # another rule says so
            yield reference[1:], target(document, reference)
    for key in _ONE:
        yield f"{pointer}/{key}", schema.get(key)
    for key in _MANY:
        yield from ((f"{pointer}/{key}/{number}", each) for number, each in enumerate(listed(schema.get(key))))
    for key in _NAMED:
        yield from ((f"{pointer}/{key}/{escape(str(name))}", each) for name, each in mapping(schema.get(key)).items())


def everything(document: Any) -> Iterator[tuple[str, Any]]:
    """Every object and list of the document but literal data, in its order."""
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        pointer, value = waiting.pop()
        yield pointer, value
        if isinstance(value, Mapping):
            waiting.extend((f"{pointer}/{escape(str(key))}", value[key]) for key in reversed(value) if key not in _DATA)
        elif isinstance(value, list):
            waiting.extend((f"{pointer}/{number}", value[number]) for number in reversed(range(len(value))))


def followed(document: Mapping[str, Any], value: Any, pointer: str) -> tuple[str, Mapping[str, Any]]:
    """What a reference object stands for and where that is written; nothing where it leads nowhere."""
    reference = mapping(value).get("$ref")
    try:
        return (reference[1:] if isinstance(reference, str) else pointer), mapping(follow(document, value))
    except DocumentError:
        return pointer, {}
