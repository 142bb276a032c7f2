"""A request's JSON body as one of our models, or one clear line about what is wrong with it."""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from kernel_gateway.errors import GatewayError

Body = TypeVar("Body", bound=BaseModel)
_MAX_PLACE_CHARACTERS = 80  # of a key's name, which the caller chose


def read(model: type[Body], body: bytes, example: str) -> Body:
    """`example` is what to send instead of something that is no JSON. Raises GatewayError("invalid")."""
    try:
        return model.model_validate(json.loads(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        message = f"`{where[:_MAX_PLACE_CHARACTERS]}`: {first['msg'][:1].lower()}{first['msg'][1:]}"
        raise GatewayError("invalid", message) from None
    except (ValueError, RecursionError):
        raise GatewayError("invalid", f"send JSON such as {example}") from None
