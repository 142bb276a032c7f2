"""An authorization server for these tests: real keys, a real key-set endpoint on loopback, a clock moved by hand."""

import json
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from tornado import httpserver, netutil, web

NOW = 1_800_000_000.0
_MAKERS = {
    "RS256": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
}


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Issuer:
    """`keys` maps kid -> (algorithm, private key); `published` is what the endpoint answers with."""

    clock: Clock
    url: str = ""
    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)
    published: list[dict[str, Any]] = field(default_factory=list)
    fetches: int = 0
    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def jwks_url(self) -> str:
        return f"{self.url}/jwks.json"

    def add_key(self, kid: str, algorithm: str, *, publish: bool = True, key: Any = None) -> None:
        make, kind = _MAKERS[algorithm]
        key = key or make()
        self.keys[kid] = (algorithm, key)
        if publish:
            public = kind.to_jwk(key.public_key(), as_dict=True)
            self.published.append({**public, "kid": kid, "alg": algorithm, "use": "sig"})

    def claims(self, **changes: Any) -> dict[str, Any]:
        """A good token's claims; a change to None leaves the claim out."""
        now = int(self.clock())
        claims = {
            "iss": self.url,
            "sub": "alice",
            "aud": "urn:kernel-gateway",
            "iat": now,
            "exp": now + 600,
            "org": "acme",
            "client_id": "agent",
            "scope": "kernel.search kernel.execute kernel.read",
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def mint(self, kid: str = "rsa", *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        algorithm, key = self.keys[kid]
        headers = {"kid": kid, "typ": "at+jwt"} | (header or {})
        return jwt.encode(self.claims(**changes), key, algorithm=algorithm, headers=headers)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def rsa_key():
    """Made once: it takes longer than all the tests that sign with it."""
    return _MAKERS["RS256"][0]()


@pytest.fixture
async def issuer(clock, rsa_key):
    issuer = Issuer(clock)

    class Jwks(web.RequestHandler):
        def get(self):
            issuer.fetches += 1
            self.set_status(issuer.status)
            for name, value in issuer.headers.items():
                self.set_header(name, value)
            self.finish(issuer.body if issuer.body is not None else json.dumps({"keys": issuer.published}))

    (socket,) = netutil.bind_sockets(0, "127.0.0.1")
    server = httpserver.HTTPServer(web.Application([(r"/.*", Jwks)], log_function=lambda handler: None))
    server.add_socket(socket)
    issuer.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    issuer.add_key("rsa", "RS256", key=rsa_key)
    issuer.add_key("ec", "ES256")
    issuer.add_key("ed", "EdDSA")
    yield issuer
    server.stop()
    await server.close_all_connections()
