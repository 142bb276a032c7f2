"""Signs who is behind a call, so that an upstream can tell its tenants' people apart without seeing their tokens."""

import secrets
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel_gateway.upstreams.base import Asker

HEADER = "X-Gateway-Asker"
ISSUER = "kernel-gateway"
_LIFETIME_SECONDS = 60  # one call and some clock skew


def signer(key: Ed25519PrivateKey, clock: Callable[[], float]) -> Callable[[Asker, str], str]:
    """`sign(asker, operation_id)` -> compact JWT (EdDSA) for the operation's server, valid for a minute."""

    def sign(asker: Asker, operation_id: str) -> str:
        now = int(clock())
        claims = {
            "iss": ISSUER,
            "aud": operation_id.partition(":")[0],
            "iat": now,
            "exp": now + _LIFETIME_SECONDS,
            "jti": secrets.token_urlsafe(12),
            "asker_iss": asker.issuer,
            "org": asker.organisation,
            "sub": asker.subject,
            "client": asker.client,
            "session": asker.session_id,
            "cell": asker.cell,
            "operation": operation_id,
        }
        return jwt.encode(claims, key, algorithm="EdDSA")

    return sign
