"""An OpenAPI document -> operations.

Strict is how a document is served: every operation says its name, effect and one scope itself, and whatever cannot be
kept exactly is an error. Without it any OpenAPI 3.x or Swagger 2 document is accepted, to search in: what is missing is
read in the most dangerous way, and an operation without a scope (`scope == ""`) is never one that a caller may use.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from catalog.arguments import Body, arguments_of
from catalog.document import DocumentError, escape, followed
from catalog.operation import Effect, Idempotency, Operation, Parameter, digest_of
from catalog.risk import Risk, may_say
from catalog.schema import Schema, Schemas

__all__ = ["METHODS", "DocumentError", "Source", "json_content", "operations", "sources"]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
STRICT_METHODS = ("get", "put", "post", "delete", "patch")
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")  # snake_case; no leading, trailing or double underscore
MAX_NAME = 64  # what fits a line of help and every MCP client's limit on tool names
_SAFE = {"get": Effect.READ, "head": Effect.READ, "delete": Effect.DELETE}
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Source:
    """One operation as the document writes it."""

    path: str
    method: str  # lower case
    item: Mapping[str, Any]  # the path item, for what all its methods share
    text: Mapping[str, Any]

    @property
    def pointer(self) -> str:
        return f"/paths/{escape(self.path)}/{self.method}"


def sources(document: Mapping[str, Any], *, strict: bool = False) -> Iterator[Source]:
    """Every operation of the document, in its order. Raises DocumentError where there is no `paths` object."""
    paths = document.get("paths")
    if not isinstance(paths, Mapping):
        raise DocumentError("the document has no `paths`; it is not an OpenAPI document")
    for path, item in paths.items():
        if str(path).startswith("x-"):
            continue
        item = followed(document, item, strict=strict)
        for method in item:
            if method in METHODS and isinstance(item[method], Mapping):
                yield Source(str(path), method, item, item[method])


def operations(document: Mapping[str, Any], server: str, *, strict: bool = False) -> Iterator[Operation]:
    """Each operation, schemas resolved. Raises DocumentError; see the module for what `strict` asks."""
    if not isinstance(document, Mapping):
        raise DocumentError("an OpenAPI document is an object")
    server = _server(server, strict)
    if strict and not str(document.get("openapi", "")).startswith("3.1."):
        raise DocumentError("a served document is OpenAPI 3.1", "/openapi")
    schemas = Schemas(document, strict=strict)
    ids: set[str] = set()
    names: set[str] = set()
    for source in sources(document, strict=strict):
        try:
            operation = _operation(document, source, server, schemas, strict)
        except DocumentError as error:
            raise DocumentError(error.message, error.pointer or source.pointer) from error
        if strict and operation.id in ids:
            raise DocumentError(f"the operationId `{operation.name}` is used twice", source.pointer)
        operation = replace(operation, id=_free(operation.id, ids), name=_free(operation.name, names))
        yield replace(operation, digest=digest_of(operation))


def _server(text: str, strict: bool) -> str:
    """The server's name: `My-API v2` becomes `my_api_v2` where documents are only searched, and is refused else."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    name = "_".join(words)
    name = f"api_{name}" if name[:1].isdigit() else name
    name = f"{name}_" if keyword.iskeyword(name) else name
    if not name or ":" in text or (strict and (name != text or not NAME.fullmatch(text))):
        raise DocumentError(f"the server name `{_shown(text)}` must be lower-case words joined by `_`")
    return name


def _shown(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text[:MAX_NAME])


def _operation(document: Mapping[str, Any], source: Source, server: str, schemas: Schemas, strict: bool) -> Operation:
    text = source.text
    if strict and source.method not in STRICT_METHODS:
        raise DocumentError(f"the method `{source.method}` is not served; use {', '.join(STRICT_METHODS)}")
    identity, name = _names(source, strict)
    body = _body(document, text, schemas, strict)
    parameters = arguments_of(document, source.path, [*_list(source.item), *_list(text)], body, schemas, strict)
    answer, statuses = _answer(document, text, schemas, strict)
    description = _text(text.get("description"))
    return Operation(
        id=f"{server}:{identity}",
        server=server,
        name=name,
        method=source.method.upper(),
        path=source.path,
        summary=" ".join(_text(text.get("summary")).split()) or _first_sentence(description),
        description=description,
        effect=_effect(source, strict),
        scope=_scope(document, text, strict),
        idempotency=_idempotency(parameters),
        parameters=parameters,
        arguments={
            "type": "object",
            "additionalProperties": False,
            "properties": {each.name: each.schema for each in parameters},
            "required": [each.name for each in parameters if each.required],
        },
        answer=answer,
        answer_statuses=statuses,
        tags=tuple(tag for tag in _sequence(text.get("tags")) if isinstance(tag, str)),
        server_title=_text(_mapping(document.get("info")).get("title")),
        risk=_risk(source, strict),
    )


def _names(source: Source, strict: bool) -> tuple[str, str]:
    """The part of the id after the server, and the Python name; one and the same in a served document."""
    given = source.text.get("operationId")
    if strict:
        if not (isinstance(given, str) and NAME.fullmatch(given) and len(given) <= MAX_NAME) or keyword.iskeyword(
            given
        ):
            raise DocumentError(f"operationId `{given}` must be a snake_case name of at most {MAX_NAME} characters")
        return given, given
    if not isinstance(given, str) or not given.strip():
        given = _snake(f"{source.method} {source.path}")
    name = _snake(given)
    return given, f"{name}_" if keyword.iskeyword(name) else name


def _snake(text: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", _CAMEL.sub(" ", text))
    name = "_".join(words).lower() or "operation"
    return f"op_{name}" if name[0].isdigit() else name


def _free(name: str, taken: set[str]) -> str:
    """The name, or the next free `name_2`: only documents that are merely searched repeat names."""
    unique, count = name, 1
    while unique in taken:
        count += 1
        unique = f"{name}_{count}"
    taken.add(unique)
    return unique


def _effect(source: Source, strict: bool) -> Effect:
    given = source.text.get("x-effect")
    if given in tuple(Effect):
        return Effect(given)
    if strict:
        raise DocumentError(f"x-effect must be one of {', '.join(Effect)}; it is never guessed from the method")
    return _SAFE.get(source.method, Effect.WRITE)


def _risk(source: Source, strict: bool) -> str:
    given, effect = source.text.get("x-risk", ""), _effect(source, strict)
    if given == "" or (given in tuple(Risk) and may_say(effect, Risk(given))):
        return str(given)
    if strict:
        raise DocumentError(f"x-risk must be one of {', '.join(Risk)}, and no milder than the effect `{effect}`")
    return ""


def _scope(document: Mapping[str, Any], text: Mapping[str, Any], strict: bool) -> str:
    """The one scope that opens it: one security requirement, of one scheme, with one scope."""
    security = _sequence(text["security"] if "security" in text else document.get("security"))
    scopes = [
        [scope for granted in requirement.values() for scope in _sequence(granted)]
        for requirement in security
        if isinstance(requirement, Mapping)
    ]
    if len(security) == len(scopes) == 1 and len(scopes[0]) == len(security[0]) == 1 and isinstance(scopes[0][0], str):
        return scopes[0][0]
    if strict:
        raise DocumentError("`security` must name exactly one scheme with exactly one scope")
    return ""


def _idempotency(parameters: tuple[Parameter, ...]) -> Idempotency:
    for each in parameters:
        if each.where == "header" and each.wire_name.lower() == "idempotency-key":
            return Idempotency.REQUIRED if each.required else Idempotency.OPTIONAL
    return Idempotency.NONE


def _body(document: Mapping[str, Any], text: Mapping[str, Any], schemas: Schemas, strict: bool) -> Body | None:
    if "requestBody" not in text:
        return None
    body = followed(document, text["requestBody"], strict=strict)
    media = json_content(body)
    if strict and (media is None or list(_mapping(body.get("content"))) != ["application/json"]):
        raise DocumentError("the request body must be application/json and nothing else")
    if media is None:
        media = next((each for each in _mapping(body.get("content")).values() if isinstance(each, Mapping)), {})
    return Body(schemas.resolve(media.get("schema", {})), body.get("required") is True, _text(body.get("description")))


def _answer(
    document: Mapping[str, Any], text: Mapping[str, Any], schemas: Schemas, strict: bool
) -> tuple[Schema, tuple[int, ...]]:
    """The schema that holds for every documented success, and those statuses. No body is `null`."""
    found: list[Schema] = []
    statuses: list[int] = []
    for status, response in sorted((str(key), value) for key, value in _mapping(text.get("responses")).items()):
        if not status.startswith("2"):
            continue
        if status.isdecimal():
            statuses.append(int(status))
        elif strict:
            raise DocumentError(f"the answer status `{status}` must be one exact code")
        response = followed(document, response, strict=strict)
        media = json_content(response)
        schema: Schema = {"type": "null"} if not response.get("content") and "schema" not in response else {}
        if media is not None or "schema" in response:  # the latter is Swagger 2
            schema = schemas.resolve((media or response).get("schema", {}))
        if schema not in found:
            found.append(schema)
    if strict and not statuses:
        raise DocumentError("no 2xx answer is documented")
    return found[0] if len(found) == 1 else {"anyOf": found} if found else {}, tuple(statuses)


def json_content(holder: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The JSON media type of a request body or a response."""
    content = _mapping(holder.get("content"))
    for media_type, media in content.items():
        bare = str(media_type).partition(";")[0].strip().lower()
        if (bare == "application/json" or bare.endswith("+json")) and isinstance(media, Mapping):
            return media
    return None


def _list(holder: Mapping[str, Any]) -> list[Any]:
    return _sequence(holder.get("parameters"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _first_sentence(text: str) -> str:
    return " ".join(re.split(r"(?<=[.!?])\s|\n\s*\n", text, maxsplit=1)[0].split())[:200]
