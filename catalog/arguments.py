"""Where an operation's keyword arguments come from: its path, query and header parameters and its body's properties."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.document import DocumentError, followed
from catalog.operation import Parameter
from catalog.schema import Schema, Schemas

BODY = "body"  # the keyword of a body that is not a plain object
_TEMPLATE = re.compile(r"\{([^{}/]+)\}")
_PLAIN = {"type", "properties", "required", "additionalProperties", "title", "description", "default"}
_IGNORED_HEADERS = frozenset(("accept", "content-type", "authorization"))  # OpenAPI: such parameters are ignored
_OWN_HEADERS = (
    "cookie",
    "host",
    "content-",
    "transfer-",
    "connection",
    "forwarded",
    "x-forwarded-",
    "x-gateway-",
    "proxy-",
)

_STYLES = {"path": "simple", "query": "form", "header": "simple"}  # OpenAPI's defaults, the only ones that are sent


@dataclass(frozen=True, slots=True)
class Body:
    schema: Schema
    required: bool
    description: str = ""


def arguments_of(
    document: Mapping[str, Any], path: str, listed: list[Any], body: Body | None, schemas: Schemas, strict: bool
) -> tuple[Parameter, ...]:
    """The keyword arguments, required ones first, headers last. `listed`: the path item's parameters, then its own.

    A body that is a plain object gives one argument per property; any other is the argument `body` with an empty
    `wire_name`. Two arguments of one name are an error; in a document that is only searched the later one is renamed.
    """
    found: dict[tuple[str, str], Parameter] = {}
    for each in listed:
        each = followed(document, each, strict=strict)
        if not isinstance(each.get("name"), str) or not each["name"]:
            if strict:
                raise DocumentError("a parameter needs a name")
            continue
        if each.get("in") in ("body", "formData"):  # Swagger 2
            body = _swagger_body(each, body, schemas, strict)
        elif parameter := _parameter(each, schemas, strict):
            found[parameter.where, parameter.wire_name] = parameter
    _check_path(path, found, strict)
    flat = [*found.values(), *(_body_parameters(body) if body else ())]
    return tuple(sorted(_named(flat, strict), key=lambda each: (not each.required, each.where == "header")))


def identifier(wire_name: str, *, where: str = "query") -> str:
    """The Python name of an API's name: `Idempotency-Key` is `idempotency_key`, `from` is `from_`."""
    name = re.sub(r"\W+", "_", wire_name, flags=re.ASCII).strip("_") or "value"
    name = name.lower() if where == "header" else name
    name = f"n{name}" if name[0].isdigit() else name
    return f"{name}_" if keyword.iskeyword(name) else name


def _parameter(text: Mapping[str, Any], schemas: Schemas, strict: bool) -> Parameter | None:
    wire_name, where = text["name"], text.get("in")
    if where == "header" and wire_name.lower() in _IGNORED_HEADERS:
        return None
    if where not in ("path", "query", "header"):
        if strict:
            raise DocumentError(f"the parameter `{wire_name}` is in `{where}`; use path, query or header")
        return None
    if strict and where == "header" and wire_name.lower().startswith(_OWN_HEADERS):
        raise DocumentError(f"the header `{wire_name}` is the gateway's own; it cannot be an argument")
    if strict and not isinstance(text.get("schema"), Mapping):
        raise DocumentError(f"the parameter `{wire_name}` needs a schema")
    if strict and (
        text.get("style", _STYLES[where]) != _STYLES[where]
        or text.get("explode", where == "query") != (where == "query")
    ):
        raise DocumentError(f"the parameter `{wire_name}` must use the default style of its place")
    return Parameter(
        name=identifier(wire_name, where=where),
        wire_name=wire_name,
        where=where,
        required=text.get("required") is True or where == "path",
        **_described(schemas.resolve(_parameter_schema(text)), text.get("description")),
    )


def _parameter_schema(text: Mapping[str, Any]) -> Any:
    """OpenAPI 3 keeps it under `schema` or in a media type, Swagger 2 beside the name."""
    if "schema" in text:
        return text["schema"]
    content = text.get("content")
    if isinstance(content, Mapping):
        return next((media.get("schema", {}) for media in content.values() if isinstance(media, Mapping)), {})
    return {key: value for key, value in text.items() if key not in ("name", "in", "required", "description")}


def _swagger_body(text: Mapping[str, Any], body: Body | None, schemas: Schemas, strict: bool) -> Body:
    if strict:
        raise DocumentError("this is Swagger 2; a served document is OpenAPI 3.1")
    if text["in"] == "body":
        return Body(schemas.resolve(text.get("schema", {})), text.get("required") is True)
    known: Schema = body.schema if body else {"type": "object", "properties": {}, "required": []}
    field = schemas.resolve(_parameter_schema(text))
    required = [*known.get("required", ()), *([text["name"]] if text.get("required") is True else ())]
    return Body(known | {"properties": known.get("properties", {}) | {text["name"]: field}, "required": required}, True)


def _check_path(path: str, found: dict[tuple[str, str], Parameter], strict: bool) -> None:
    """Each `{name}` of the path needs its parameter, and the other way round."""
    named = list(dict.fromkeys(_TEMPLATE.findall(path)))
    given = [wire_name for where, wire_name in found if where == "path"]
    if strict and (
        sorted(named) != sorted(given) or not path.startswith("/") or re.search(r"[?#\s\\]|/\.\.?(/|$)|//", path)
    ):
        raise DocumentError(
            f"the path `{path}` and its path parameters do not match, or it is not a plain absolute path"
        )
    for name in named:
        if ("path", name) not in found:
            found["path", name] = Parameter(identifier(name), name, "path", True, {"type": "string"})


def _body_parameters(body: Body) -> list[Parameter]:
    schema = body.schema
    properties = schema.get("properties")
    if schema.get("type", "object") != "object" or not properties or not schema.keys() <= _PLAIN:
        return [Parameter(BODY, "", "body", body.required, **_described(schema, body.description))]
    required = schema.get("required") or ()
    return [
        Parameter(identifier(name), name, "body", body.required and name in required, **_described(field, None))
        for name, field in properties.items()
        if field.get("readOnly") is not True
    ]


def _described(schema: Schema, text: Any) -> dict[str, Any]:
    """The schema and its description, each saying it: the one is read by programs, the other by people."""
    description = text.strip() if isinstance(text, str) and text.strip() else schema.get("description", "")
    description = description if isinstance(description, str) else ""
    return {"schema": schema | {"description": description} if description else schema, "description": description}


def _named(parameters: list[Parameter], strict: bool) -> list[Parameter]:
    """Parameters with one name each."""
    taken: dict[str, Parameter] = {}
    for each in parameters:
        name = each.name
        if name in taken and strict:
            other = taken[name]
            both = f"`{each.wire_name}` ({each.where}) and `{other.wire_name}` ({other.where})"
            raise DocumentError(f"{both} are both the argument `{name}`; rename one")
        while name in taken:
            name = f"{each.where}_{name}"
        taken[name] = Parameter(name, each.wire_name, each.where, each.required, each.schema, each.description)
    return list(taken.values())
