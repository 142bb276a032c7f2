"""Turns a bearer token into a Principal, or refuses. A refusal never repeats anything the token said.

RFC 9068 (JWT access tokens) with the advice of RFC 8725: algorithms come from an allow-list and from the key, never
from the token alone; the issuer is found by exact comparison and only its own keys count.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from kernel_gateway.auth.jwks import MAX_KEY_ID_LENGTH, Fetch, KeySet
from kernel_gateway.auth.principal import Principal
from kernel_gateway.auth.settings import AuthSettings, IssuerSettings
from kernel_gateway.errors import GatewayError

TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})  # RFC 9068, 2.1; anything else is another kind of token
REQUIRED = ("exp", "iat", "iss", "aud", "sub")
MAX_NAME_LENGTH = 256  # of a subject, organisation, client, role or scope: they end up in the journal
MAX_SCOPES = 256


@dataclass(frozen=True, slots=True)
class _Trusted:
    settings: IssuerSettings
    keys: KeySet


class Verifier:
    """`verify` is the only way a request over HTTP gets a Principal."""

    def __init__(self, settings: AuthSettings, fetch_jwks: Fetch, clock: Callable[[], float]) -> None:
        self._settings, self._clock = settings, clock
        self._trusted = {
            each.issuer: _Trusted(each, KeySet(each.jwks_url, fetch_jwks, settings, clock)) for each in settings.issuers
        }
        self._verified: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Verifier {len(self._trusted)} issuers, {len(self._verified)} verified tokens>"

    @property
    def issuers(self) -> tuple[str, ...]:
        """Where a caller gets a token, in the operator's order."""
        return tuple(self._trusted)

    async def verify(self, token: str) -> Principal:
        """Raises GatewayError("unauthenticated")."""
        if len(token) > self._settings.max_token_bytes:
            raise _refused(f"is larger than {self._settings.max_token_bytes} bytes")
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(digest)
        if known is not None and self._clock() < known[1]:
            return known[0]
        self._verified.pop(digest, None)
        principal = await self._principal(token)
        self._remember(digest, principal)
        return principal

    def _remember(self, digest: bytes, principal: Principal) -> None:
        until = min(principal.expires_at, self._clock() + self._settings.token_cache_seconds)
        self._verified[digest] = (principal, until)
        while len(self._verified) > self._settings.token_cache_size:
            self._verified.popitem(last=False)

    async def _principal(self, token: str) -> Principal:
        header, unverified = _read(token)
        algorithm, kind, kid = header.get("alg"), header.get("typ", "JWT"), header.get("kid")
        if algorithm not in self._settings.algorithms:
            raise _refused("is not signed with an accepted algorithm")
        if not isinstance(kind, str) or kind.lower() not in TYPES:
            raise _refused("is not an access token")
        if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KEY_ID_LENGTH:
            raise _refused("does not say which key signed it")
        name = unverified.get("iss")
        trusted = self._trusted.get(name) if isinstance(name, str) else None
        if trusted is None:
            raise _refused("comes from an issuer this service does not know")
        key = await trusted.keys.get(kid)
        if key is None:
            raise _refused("is signed with a key its issuer does not publish now")
        claims = self._verified_claims(token, key, algorithm, trusted.settings)
        return self._mapped(claims, trusted.settings, self._expires_at(claims))

    def _verified_claims(self, token: str, key: jwt.PyJWK, algorithm: str, issuer: IssuerSettings) -> dict[str, Any]:
        if key.algorithm_name != algorithm:
            raise _refused("is not signed the way its key signs")
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=issuer.audience or self._settings.audience,
                issuer=issuer.issuer,
                # times are checked by `_expires_at`, against the clock this object was given
                options={
                    "require": list(REQUIRED),
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidAudienceError:
            raise _refused("is meant for another service") from None
        except jwt.MissingRequiredClaimError:
            raise _refused("lacks a required claim") from None
        except jwt.InvalidSignatureError:
            raise _refused("has a signature that does not fit") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise _refused("cannot be verified") from None

    def _expires_at(self, claims: Mapping[str, Any]) -> float:
        """When the authority ends, leeway included: the same instant for this check and for every later decision."""
        now, leeway = self._clock(), self._settings.leeway_seconds
        expires_at = _instant(claims["exp"]) + leeway
        if now >= expires_at:
            raise _refused("has expired")
        if now + leeway < _instant(claims["iat"]) or now + leeway < _instant(claims.get("nbf", 0)):
            raise _refused("is not valid yet")
        return expires_at

    def _mapped(self, claims: Mapping[str, Any], issuer: IssuerSettings, expires_at: float) -> Principal:
        names = self._settings.claims
        subject, client = _name(claims.get(names.subject)), _name(claims.get(names.client))
        role = issuer.subject_roles.get(subject) or issuer.client_roles.get(client)
        organisation = _name(claims.get(names.organisation, issuer.organisation))
        if issuer.organisation and organisation != issuer.organisation:
            raise _refused("speaks for an organisation that is not its issuer's")
        return Principal(
            issuer=issuer.issuer,
            organisation=organisation,
            subject=subject,
            client=client,
            role=role or _name(claims.get(names.role, self._settings.default_role)),
            scopes=_scopes(claims.get(names.scope, "")),
            expires_at=expires_at,
        )


def _refused(why: str) -> GatewayError:
    return GatewayError("unauthenticated", f"the bearer token {why}; get a new one from the issuer")


def _read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims before any trust: only to find the issuer and its key."""
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError, OverflowError):
        raise _refused("is not a signed JWT") from None
    return parts["header"], parts["payload"]


def _instant(value: Any) -> float:
    """A NumericDate (RFC 7519, 2)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused("names a time that is not a number")
    try:
        instant = float(value)
    except OverflowError:
        instant = math.inf
    if not math.isfinite(instant):
        raise _refused("names a time that is not a number")
    return instant


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_LENGTH or not value.isprintable():
        raise _refused("does not say who is asking in the claims this service reads")
    return value


def _scopes(value: Any) -> frozenset[str]:
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or len(words) > MAX_SCOPES:
        raise _refused("names its scopes in a form this service does not read")
    return frozenset(_name(word) for word in words)
