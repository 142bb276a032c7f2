"""Who calls the service: a bearer token of the reference issuer, and the gateway's signed word on whose behalf."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from catalog import Operation
from kernel_gateway.reference.keys import SigningKey
from kernel_gateway.reference.problems import Problem

ASKER_HEADER = "X-Gateway-Asker"
ASKER_ISSUER = "kernel-gateway"
_CLAIMS = ["iss", "aud", "exp", "iat", "sub", "org"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated client and, where the gateway said so, the person or agent behind it."""

    organisation: str
    client: str
    scopes: frozenset[str]
    asker: dict[str, Any] | None = None


class Access:
    """`find` gives the issuer's key for a kid. Without `asker_key` the asker header is not looked at."""

    def __init__(
        self,
        issuer_url: str,
        audience: str,
        find: Callable[[str], SigningKey | None],
        asker_key: Ed25519PublicKey | None,
        clock: Callable[[], float],
    ) -> None:
        self._issuer_url, self._audience, self._find = issuer_url, audience, find
        self._asker_key, self._clock = asker_key, clock

    def caller(self, headers: Mapping[str, str], operation: Operation) -> Caller:
        """Raises Problem 401 or 403."""
        kind, _, token = headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise _unauthenticated("a bearer token is required", challenge="Bearer")
        claims = self._claims(token)
        caller = Caller(
            organisation=str(claims["org"]),
            client=str(claims.get("client_id", claims["sub"])),
            scopes=frozenset(str(claims.get("scope", "")).split()),
            asker=self._asker(headers, operation, str(claims["org"])),
        )
        if operation.scope not in caller.scopes:
            challenge = f'Bearer error="insufficient_scope", scope="{operation.scope}"'
            detail = f"the operation needs the scope {operation.scope}"
            title = "The access token lacks a scope"
            raise Problem(403, "denied", title, detail=detail, headers={"WWW-Authenticate": challenge})
        return caller

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._find(kid) if isinstance(kid, str) else None
            if key is None:
                raise _unauthenticated("the token is not of this issuer")
            return self._decode(token, key.public, key.algorithm, self._issuer_url, self._audience, "at+jwt")
        except jwt.PyJWTError:
            raise _unauthenticated("the token does not verify") from None

    def _asker(self, headers: Mapping[str, str], operation: Operation, organisation: str) -> dict[str, Any] | None:
        word = headers.get(ASKER_HEADER)
        if word is None or self._asker_key is None:
            return None
        try:
            claims = self._decode(word, self._asker_key, "EdDSA", ASKER_ISSUER, operation.server)
        except jwt.PyJWTError:
            raise _unauthenticated(f"{ASKER_HEADER} does not verify") from None
        if claims["org"] != organisation or claims.get("operation") not in (operation.id, operation.name):
            raise _unauthenticated(f"{ASKER_HEADER} is for another call")
        return {name: claims.get(name) for name in ("org", "sub", "client", "session")}

    def _decode(
        self, token: str, key: Any, algorithm: str, issuer: str, audience: str, kind: str | None = None
    ) -> dict[str, Any]:
        """Times are checked against the world's own clock, which a test may set."""
        options: Any = {"require": _CLAIMS, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        whole = jwt.decode_complete(
            token, key, algorithms=[algorithm], issuer=issuer, audience=audience, options=options
        )
        claims: dict[str, Any] = whole["payload"]
        if kind is not None and whole["header"].get("typ") != kind:
            raise _unauthenticated("the token is not an access token")
        if not isinstance(claims["exp"], int | float) or claims["exp"] <= self._clock():
            raise _unauthenticated("the token has expired")
        return claims


def _unauthenticated(detail: str, challenge: str = 'Bearer error="invalid_token"') -> Problem:
    title = "The access token is not accepted"
    return Problem(401, "unauthenticated", title, detail=detail, headers={"WWW-Authenticate": challenge})
