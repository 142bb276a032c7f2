"""The stand-in authorization server: keys, metadata, and tokens for the gateway's own calls and for people."""

import base64
import binascii
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jwt
from tornado.web import Application

from kernel_gateway.reference.keys import SigningKeys, load_secret
from kernel_gateway.reference.problems import NotFoundHandler, ProblemHandler

CLIENT_ID = "kernel-gateway"
CLIENT_TOKEN_SECONDS = 300  # short: the gateway asks again, and a leaked one dies soon
MAX_TOKEN_SECONDS = 30 * 86400  # a demonstration's token outlives the demonstration, not the month

_ORGANISATION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ADDRESS = "issuer.json"


class Minter:
    """Signs access tokens (RFC 9068) for one issuer."""

    def __init__(self, issuer_url: str, audience: str, keys: SigningKeys, clock: Callable[[], float]) -> None:
        self.issuer_url, self.audience, self.keys, self._clock = issuer_url, audience, keys, clock

    @classmethod
    def load(cls, folder: Path, clock: Callable[[], float] = time.time) -> "Minter":
        """The minter of the world that last started in `folder`. Raises FileNotFoundError if none has."""
        address = json.loads((folder / _ADDRESS).read_text(encoding="utf-8"))
        return cls(address["issuer_url"], address["audience"], SigningKeys(folder / "keys"), clock)

    def save(self, folder: Path) -> None:
        """Says where the issuer is, so that `load` works from another process."""
        (folder / _ADDRESS).write_text(
            json.dumps({"issuer_url": self.issuer_url, "audience": self.audience}), encoding="utf-8"
        )

    def mint(
        self,
        subject: str,
        scope: str,
        role: str = "dev",
        organisation: str = "acme",
        client: str = "agent",
        ttl_seconds: float = 3600,
        *,
        audience: str | None = None,
        algorithm: str = "ES256",
    ) -> str:
        """A signed token. `scope` is space separated; `algorithm` is RS256, ES256 or EdDSA."""
        if not 0 < ttl_seconds <= MAX_TOKEN_SECONDS:
            raise ValueError(f"a token lives 1 to {MAX_TOKEN_SECONDS} seconds, not {ttl_seconds}")
        now = int(self._clock())
        claims = {
            "iss": self.issuer_url,
            "sub": subject,
            "aud": audience or self.audience,
            "iat": now,
            "exp": now + int(ttl_seconds),
            "jti": secrets.token_urlsafe(12),
            "scope": scope,
            "client_id": client,
            "org": organisation,
            "role": role,
        }
        key = self.keys.of(algorithm)
        return jwt.encode(claims, key.private, algorithm=algorithm, headers={"typ": "at+jwt", "kid": key.kid})

    def __repr__(self) -> str:
        return f"<Minter {self.issuer_url}>"


class Issuer:
    """One issuer with one confidential client. `resources` are the audiences that the client may ask for."""

    def __init__(self, minter: Minter, folder: Path, resources: Iterable[str], scopes: Iterable[str]) -> None:
        self.minter = minter
        self.resources, self.scopes = frozenset(resources), frozenset(scopes)
        self.client_id, self.client_secret = CLIENT_ID, load_secret(folder / "keys" / "client_secret")

    def metadata(self) -> dict[str, Any]:
        """RFC 8414."""
        url = self.minter.issuer_url
        return {
            "issuer": url,
            "token_endpoint": f"{url}/token",
            "jwks_uri": f"{url}/.well-known/jwks.json",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "scopes_supported": sorted(self.scopes),
        }

    def knows(self, authorization: str) -> bool:
        """Whether an Authorization header is this client's (RFC 6749, 2.3.1)."""
        kind, _, value = authorization.partition(" ")
        try:
            given = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return False
        wanted = f"{self.client_id}:{self.client_secret}".encode()
        return hmac.compare_digest(given, wanted) and kind.lower() == "basic"

    def token(self, form: Callable[[str], str]) -> dict[str, Any]:
        """Answers the client's request. Raises OAuthError."""
        if form("grant_type") != "client_credentials":
            raise OAuthError("unsupported_grant_type", "grant_type must be client_credentials")
        if form("resource") not in self.resources:
            raise OAuthError("invalid_target", "resource must be the base URL of a server of this world")
        wanted = form("scope").split()
        if not wanted or not self.scopes.issuperset(wanted):
            raise OAuthError("invalid_scope", "scope must name scopes of the server")
        if not _ORGANISATION.fullmatch(form("organisation")):
            raise OAuthError("invalid_request", "organisation must name whom the call is for")
        token = self.minter.mint(
            self.client_id,
            " ".join(wanted),
            role="service",
            organisation=form("organisation"),
            client=self.client_id,
            ttl_seconds=CLIENT_TOKEN_SECONDS,
            audience=form("resource"),
        )
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": CLIENT_TOKEN_SECONDS,
            "scope": " ".join(wanted),
        }

    def application(self) -> Application:
        return Application(
            [
                (r"/\.well-known/jwks\.json", _DocumentHandler, {"read": self.minter.keys.jwks}),
                (r"/\.well-known/oauth-authorization-server", _DocumentHandler, {"read": self.metadata}),
                (r"/token", _TokenHandler, {"issuer": self}),
            ],
            default_handler_class=NotFoundHandler,
        )

    def __repr__(self) -> str:
        return f"<Issuer {self.minter.issuer_url}>"


class OAuthError(Exception):
    """RFC 6749, 5.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.body = {"error": error, "error_description": description}


class _DocumentHandler(ProblemHandler):
    def initialize(self, read: Callable[[], dict[str, Any]]) -> None:
        self._read = read

    def get(self) -> None:
        self.finish(self._read())


class _TokenHandler(ProblemHandler):
    def initialize(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def post(self) -> None:
        if not self._issuer.knows(self.request.headers.get("Authorization", "")):
            self.set_status(401)
            self.set_header("WWW-Authenticate", 'Basic realm="reference issuer"')
            self.finish({"error": "invalid_client", "error_description": "use this world's client id and secret"})
            return
        try:
            self.finish(self._issuer.token(lambda name: self.get_body_argument(name, "")))
        except OAuthError as error:
            self.set_status(400)
            self.finish(error.body)
