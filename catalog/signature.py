"""An operation as Python reads it: annotations, a signature, and lines that describe parameters and answer."""

import re
import textwrap
from collections.abc import Mapping
from typing import Any

from catalog.operation import Operation, Parameter

_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "object": "dict", "null": "None"}
_MAX_LITERALS = 8  # a longer enum reads better as its base type
_MAX_CHOICE_CHARACTERS = 240  # of what one choice does: two or three sentences; ten choices still fit a screen or two
_CHOICE_WIDTH = 100
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def signature(operation: Operation) -> str:
    """`image_ops.jobs_get(*, id: str, wait: int | None = None)`."""
    parameters = ", ".join(map(_parameter, in_order(operation)))
    return f"{operation.server}.{operation.name}({'*, ' if parameters else ''}{parameters})"


def in_order(operation: Operation) -> list[Parameter]:
    """Required parameters first, as Python wants them."""
    return sorted(operation.parameters, key=lambda parameter: not parameter.required)


def annotate(schema: Mapping[str, Any]) -> str:
    """A JSON schema as a Python annotation, for reading only."""
    if schema.get("x-sensitive"):
        return "Blob"
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values and len(values) <= _MAX_LITERALS:
        return f"Literal[{', '.join(map(repr, values))}]"
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_TYPES.get(each, "Any") for each in kind)
    if kind == "array":
        return f"list[{annotate(schema.get('items', {}))}]"
    if properties := schema.get("properties"):
        return _shape(properties, schema.get("required", ()))
    if "oneOf" in schema:
        return "dict"
    return _TYPES.get(kind, "Any") if isinstance(kind, str) else "Any"


def choices(schema: Mapping[str, Any]) -> list[str]:
    """The shapes a parameter (or each item of a list) may take, one line each; below it, indented, what it does."""
    inner = schema.get("items", {}) if schema.get("type") == "array" else schema
    return [line for choice in inner.get("oneOf", ()) for line in (annotate(choice), *_explained(choice))]


def _explained(choice: Mapping[str, Any]) -> list[str]:
    """The first sentences of its description, as many as fit. Words stay whole, so that a link is still seen as one."""
    text = choice.get("description", "")
    first, *more = _SENTENCE.split(" ".join(text.split()))
    told = textwrap.shorten(first, _MAX_CHOICE_CHARACTERS, placeholder=" ...", break_long_words=False)
    for sentence in more:
        if len(told) + 1 + len(sentence) > _MAX_CHOICE_CHARACTERS:
            break
        told += f" {sentence}"
    return textwrap.wrap(
        told,
        _CHOICE_WIDTH,
        initial_indent="    ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def answer_lines(schema: Mapping[str, Any]) -> list[str]:
    """`name : type` per field of an answer."""
    return [f"{name} : {annotate(field)}" for name, field in schema.get("properties", {}).items()]


def _parameter(parameter: Parameter) -> str:
    annotation = annotate(parameter.schema)
    return f"{parameter.name}: {annotation}" if parameter.required else f"{parameter.name}: {annotation} | None = None"


def _shape(properties: Mapping[str, Any], required: Any) -> str:
    fields = (f"{name}{'' if name in required else '?'}: {annotate(field)}" for name, field in properties.items())
    return "{" + ", ".join(fields) + "}"
