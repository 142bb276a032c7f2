"""What the two tools take: the published schemas, and the check of arguments against the same bounds."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.text import MAX_TIMEOUT_SECONDS, line

MAX_CODE_BYTES = 64 * 1024  # the contract's; the static review of later issues reads this much and no more
MAX_CELL = 1_000_000  # more cells than any session runs
_MAX_NAME_CHARS = 128  # a session or request id: longer than any we mint, short enough for a log line and an index
MAX_TOKEN_CHARS = 512  # an approval token has 130
_ECHO_CHARS = 40  # how much of a refused value is shown again


class _Arguments(BaseModel):
    """Strict, so that what the schema refuses is refused here too: no `"5"` for 5, no unknown key."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SearchArguments(_Arguments):
    query: Annotated[
        str, Field(min_length=1, max_length=500, description="What you want to do, in plain words, or an operation id.")
    ]
    limit: Annotated[int, Field(ge=1, le=50, description="At most this many hits.")] = 10
    server: Annotated[
        str, Field(max_length=64, description="Only this server's operations, for example image_ops.")
    ] = ""
    detail: Annotated[
        Literal["brief", "signature", "full"],
        Field(description="brief: one line each; signature: the Python signature too; full: the JSON schema too."),
    ] = "brief"


class ExecuteArguments(_Arguments):
    code: Annotated[
        str,
        Field(
            max_length=MAX_CODE_BYTES, description="One Python cell, at most 64 KiB. Its last expression is the result."
        ),
    ]
    session_id: Annotated[
        str,
        Field(
            max_length=_MAX_NAME_CHARS,
            description="Empty for a new session; else the session_id an earlier call returned.",
        ),
    ] = ""
    timeout_seconds: Annotated[
        float,
        Field(
            ge=1,
            le=MAX_TIMEOUT_SECONDS,
            allow_inf_nan=False,
            description="The cell is interrupted after this long.",
        ),
    ] = 60
    request_id: Annotated[
        str,
        Field(
            max_length=_MAX_NAME_CHARS,
            description="Your own id. Sent again with the same code and session, it joins or returns that run.",
        ),
    ] = ""
    validate_only: Annotated[
        bool,
        Field(description="Runs nothing: says what the cell would do, whether it may, and gives an approval token."),
    ] = False
    approval_token: Annotated[
        str,
        Field(
            max_length=MAX_TOKEN_CHARS,
            description="What validate_only or approval_required returned; for this very cell in its session, once.",
        ),
    ] = ""
    fork_from_cell: Annotated[
        int,
        Field(
            ge=0,
            le=MAX_CELL,
            description="Runs the cell in a new session that goes on after this cell of `session_id`. 0: it does not.",
        ),
    ] = 0


A = TypeVar("A", bound=_Arguments)


def parse(model: type[A], arguments: Mapping[str, Any]) -> A:
    """The checked arguments. Raises GatewayError("invalid") with one line on the first thing that is wrong."""
    try:
        parsed = model.model_validate(arguments)
    except ValidationError as error:
        raise GatewayError("invalid", _complaint(model, error)) from None
    if isinstance(parsed, ExecuteArguments) and len(parsed.code.encode()) > MAX_CODE_BYTES:
        raise GatewayError("invalid", f"`code` is longer than {MAX_CODE_BYTES} bytes; send it in several cells")
    return parsed


_COMPLAINTS = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode",
    "string_too_short": "must have at least {min_length} character",
    "string_too_long": "must have at most {max_length} characters",
    "bool_type": "must be true or false",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be one of {expected}",
}


def _complaint(model: type[BaseModel], error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = line(str(first["loc"][0] if first["loc"] else "arguments"), _ECHO_CHARS)
    if first["type"] == "extra_forbidden":
        return f"unknown argument `{name}`; known are {', '.join(f'`{each}`' for each in model.model_fields)}"
    says = _COMPLAINTS.get(first["type"], "is not valid").format(**first.get("ctx", {}))
    given = first["input"]
    shown = f", not `{line(str(given), _ECHO_CHARS)}`" if isinstance(given, str | int | float) else ""
    return f"`{name}` {says}" + ("" if first["type"] in ("missing", "string_too_short", "string_too_long") else shown)


def input_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of `model` as published: without the titles, which repeat the names."""
    schema = model.model_json_schema()
    properties = {name: _without_title(each) for name, each in schema["properties"].items()}
    return {
        "type": "object",
        "properties": properties,
        "required": schema["required"],
        "additionalProperties": False,
    }


def _without_title(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "title"}


# The contract's word for each code that the doors raise. `lost` stands for every failure after which the caller
# cannot know what its session holds, or cannot have one. `approval_required` is a code inside a cell only: outside it
# is a status.
