"""Checks arguments and answers against their operation's schemas. Says what is wrong, never the value that is."""

import json
from collections.abc import Mapping
from typing import Any

from jsonschema_rs import ValidationError, Validator, validator_for

from catalog import Operation
from kernel_gateway.broker.services import quoted
from kernel_gateway.errors import GatewayError
from kernel_gateway.upstreams.base import UpstreamError

MAX_WORDS = 300  # of one complaint; enough for the place and the rule broken
_ALTERNATIVES = frozenset(("oneOf", "anyOf"))
_CHOICES = ({"const"}, {"const", "enum"})  # by which an alternative shows that it was not meant, the surer one first
_MAX_UNEXPECTED = 3  # keywords that are named in one complaint; their number is the caller's choice


class Schemas:
    """Compiles each operation's schemas on first use; operations are known by id and digest."""

    def __init__(self) -> None:
        self._arguments: dict[tuple[str, str], Validator] = {}
        self._answers: dict[tuple[str, str], Validator] = {}

    def __repr__(self) -> str:
        return f"<Schemas {len(self._arguments)} compiled>"

    def check_arguments(self, operation: Operation, arguments: object) -> tuple[dict[str, Any], int]:
        """The arguments and their size in bytes. Raises GatewayError `invalid`, naming the parameter."""
        if not isinstance(arguments, dict):
            raise GatewayError("invalid", "arguments must be an object of keyword arguments")
        try:
            size = _size(arguments)
            _compiled(self._arguments, operation, operation.arguments).validate(arguments)
        except ValidationError as error:
            raise GatewayError("invalid", complaint(operation, error)) from None
        except (ValueError, RecursionError) as error:
            raise GatewayError("invalid", f"the arguments of `{operation.id}` are not plain JSON") from error
        return arguments, size

    def check_answer(self, operation: Operation, body: object) -> None:
        """Raises UpstreamError `upstream_invalid`, naming the place in the description, which holds nothing secret."""
        try:
            _compiled(self._answers, operation, operation.answer).validate(body)
            return
        except ValidationError as error:
            broken = "/".join(str(step) for step in error.schema_path)
        except (ValueError, RecursionError):
            broken = "it is nested too deeply"
        message = f"`{operation.server}` answered `{operation.name}` against its own description ({broken[:MAX_WORDS]})"
        raise UpstreamError("upstream_invalid", f"{message}; tell an operator")


def size_of(arguments: object) -> int:
    """In bytes, as they are sent; 0 for what is no plain JSON and will not be."""
    try:
        return _size(arguments)
    except (ValueError, RecursionError):
        return 0


def _size(arguments: object) -> int:
    return len(json.dumps(arguments, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())


def _compiled(known: dict[tuple[str, str], Validator], operation: Operation, schema: Mapping[str, Any]) -> Validator:
    key = (operation.id, operation.digest)
    if key not in known:
        known[key] = validator_for(json.dumps(schema), mask="the value", offline=True)
    return known[key]


def complaint(operation: Operation, error: ValidationError) -> str:
    """One line, for the person or model that wrote the arguments."""
    error, message = _most_telling(operation, error)
    place = "/".join(str(step) for step in error.instance_path)
    words = f"`{place}`: {message}" if place else message
    words = "".join(character if character.isprintable() else "?" for character in words)
    if len(words) > MAX_WORDS:
        words = words[:MAX_WORDS] + "..."
    return f"`{operation.id}`: {words}"


def _most_telling(operation: Operation, error: ValidationError) -> tuple[ValidationError, str]:
    """Of "fits none of the alternatives": what is wrong with the one that was meant, judged by its constants.

    Where none was meant, the constants to choose from.
    """
    while error.kind.name in _ALTERNATIVES:
        branches: list[list[ValidationError]] = getattr(error.kind, "context", [])
        meant = _meant(branches)
        if meant is None:
            constants = [each for branch in branches for each in branch if each.kind.name == "const"]
            if not constants or len({tuple(each.instance_path) for each in constants}) != 1:
                return error, error.message
            return constants[0], _one_of([getattr(each.kind, "expected_value", None) for each in constants])
        error = meant[0]
    return error, _told(operation, error)


def _meant(branches: list[list[ValidationError]]) -> list[ValidationError] | None:
    for kinds in _CHOICES:
        left = [branch for branch in branches if branch and not any(each.kind.name in kinds for each in branch)]
        if len(left) == 1:
            return left[0]
    return None


def _told(operation: Operation, error: ValidationError) -> str:
    """What the validator says, and the names or values to choose from, which it leaves out or shortens."""
    if error.kind.name == "required":
        return f"{quoted(getattr(error.kind, 'property', ''))} is required"
    if error.kind.name == "enum":
        return _one_of(getattr(error.kind, "options", []))
    if error.kind.name == "additionalProperties":
        properties = _properties(operation, error)
        first = getattr(error.kind, "unexpected", [])  # it may name no others
        names = error.instance if isinstance(error.instance, dict) else {}
        unexpected = list(dict.fromkeys([*first, *(name for name in names if name not in properties)]))
        named = ", ".join(quoted(name, 40) for name in unexpected[:_MAX_UNEXPECTED])
        more = len(unexpected) - _MAX_UNEXPECTED
        known = ", ".join(f"`{name}`" for name in properties) or "no arguments"
        named += f" and {more} more" if more > 0 else ""
        return f"{named} {'is' if len(unexpected) == 1 else 'are'} unexpected; takes {known}"
    return error.message


def _one_of(values: list[Any]) -> str:
    return f"the value must be one of {', '.join(json.dumps(each) for each in values)}"


def _properties(operation: Operation, error: ValidationError) -> list[str]:
    """The keywords beside the rule that was broken."""
    schema: Any = operation.arguments
    for step in error.schema_path[:-1]:
        schema = schema[step]
    return list(schema.get("properties", ()))
