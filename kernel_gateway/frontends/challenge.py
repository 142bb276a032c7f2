"""What a caller is told to bring: RFC 6750 challenges and RFC 9728 resource metadata. Pure."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError

METADATA_PATH = "/.well-known/oauth-protected-resource"  # RFC 9728, 3.1: followed by the path of the resource
BASIC_SCOPES = (
    "kernel.search",
    "kernel.execute",
)  # what an agent needs to do anything here; the rest is asked for later
TOOL_SCOPES: Mapping[str, tuple[str, ...]] = {"search": ("kernel.search",), "execute": ("kernel.execute",)}
_BEARER = re.compile(r"bearer +(?P<token>[A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


class NoCredentialsError(GatewayError):
    """Nothing was sent, so nothing was wrong with it: RFC 6750, 3.1 forbids an error in this challenge."""

    def __init__(self) -> None:
        super().__init__("unauthenticated", "a bearer token is needed; see the WWW-Authenticate header for where")


class InsufficientScopeError(GatewayError):
    """`needed` is everything the call needs, so that one consent is enough."""

    def __init__(self, needed: tuple[str, ...]) -> None:
        message = f"this call needs the scopes `{' '.join(needed)}`; get a token that has them all"
        super().__init__("denied", message, rule="scope")
        self.needed = needed


@dataclass(frozen=True, slots=True)
class Call:
    """What a JSON-RPC body asks for. Empty where it cannot be read: the protocol library says what is wrong with it."""

    method: str = ""
    tool: str = ""


def bearer(header: str | None) -> str:
    """The token of an Authorization header. Raises GatewayError("unauthenticated")."""
    if header is None or header.partition(" ")[0].lower() != "bearer":
        raise NoCredentialsError
    match = _BEARER.fullmatch(header.strip())
    if match is None:
        raise GatewayError(
            "unauthenticated", "the Authorization header is not `Bearer` and one token; send exactly that"
        )
    return match["token"]


def call_in(body: bytes) -> Call:
    """Read for the challenge alone: the doors behind decide again from what the protocol library parsed."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return Call()
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return Call()
    parameters = message.get("params")
    name = parameters.get("name") if isinstance(parameters, dict) else None
    return Call(message["method"], name if message["method"] == "tools/call" and isinstance(name, str) else "")


def require_scopes(principal: Principal, needed: tuple[str, ...]) -> None:
    """Raises InsufficientScopeError."""
    if not principal.scopes.issuperset(needed):
        raise InsufficientScopeError(needed)


def challenge(error: GatewayError, scopes: Iterable[str], metadata_url: str) -> str | None:
    """The WWW-Authenticate header for a refusal, None where better credentials would not help."""
    fields: dict[str, str] = {}
    if isinstance(error, InsufficientScopeError):
        fields["error"], fields["error_description"], scopes = "insufficient_scope", error.message, error.needed
    elif error.code != "unauthenticated":
        return None
    elif not isinstance(error, NoCredentialsError):
        fields["error"], fields["error_description"] = "invalid_token", error.message
    fields["scope"] = " ".join(scopes)
    fields["resource_metadata"] = metadata_url
    return "Bearer " + ", ".join(f'{name}="{_quotable(value)}"' for name, value in fields.items())


def _quotable(value: str) -> str:
    """RFC 6750, 3 allows neither a quote nor a backslash in these values."""
    return value.replace("\\", "").replace('"', "'")


def metadata(resource: str, issuers: Iterable[str]) -> dict[str, Any]:
    """RFC 9728, 2. `resource` is the URL the client used, which it compares with its own."""
    return {
        "resource": resource,
        "authorization_servers": list(issuers),
        "scopes_supported": list(BASIC_SCOPES),
        "bearer_methods_supported": ["header"],
        "resource_name": "Kernel Gateway",
    }
