"""The reference issuer's signing keys: one per algorithm, kept in the world's folder for its owner alone."""

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

KID_PREFIX = "reference-"  # a production service refuses every key that says so

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_NEW: dict[str, Callable[[], PrivateKey]] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    algorithm: str
    kid: str
    private: PrivateKey

    @property
    def public(self) -> PublicKey:
        return self.private.public_key()

    def jwk(self) -> dict[str, Any]:
        """The public half (RFC 7517)."""
        public = self.public
        if isinstance(public, rsa.RSAPublicKey):
            values = RSAAlgorithm.to_jwk(public, as_dict=True)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            values = ECAlgorithm.to_jwk(public, as_dict=True)
        else:
            values = OKPAlgorithm.to_jwk(public, as_dict=True)
        values.pop("key_ops", None)
        return {**values, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def __repr__(self) -> str:
        return f"<SigningKey {self.kid}>"


class SigningKeys:
    """Loads the keys from `folder`, making what is missing."""

    def __init__(self, folder: Path) -> None:
        self._by_algorithm = {algorithm: _load(folder, algorithm) for algorithm in _NEW}
        self._by_kid = {key.kid: key for key in self._by_algorithm.values()}

    def of(self, algorithm: str) -> SigningKey:
        """Raises KeyError for an algorithm that is not RS256, ES256 or EdDSA."""
        return self._by_algorithm[algorithm]

    def find(self, kid: str) -> SigningKey | None:
        return self._by_kid.get(kid)

    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.jwk() for key in self._by_algorithm.values()]}

    def __repr__(self) -> str:
        return f"<SigningKeys {' '.join(self._by_kid)}>"


def write_private(path: Path, content: bytes) -> None:
    """Writes a new file that only its owner can read. Raises FileExistsError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def load_secret(path: Path, random_bytes: Callable[[int], bytes] = os.urandom) -> str:
    """A text of 256 random bits, kept in the file."""
    if not path.exists():
        write_private(path, base64.urlsafe_b64encode(random_bytes(32)).rstrip(b"="))
    return path.read_text(encoding="ascii")


def _load(folder: Path, algorithm: str) -> SigningKey:
    path = folder / f"{algorithm}.pem"
    if not path.exists():
        pem = _NEW[algorithm]().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(path, pem)
    # Written by us, for us alone: checking the primes again would take longer than all the rest of a start.
    private = serialization.load_pem_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
    der = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(algorithm, f"{KID_PREFIX}{algorithm}-{hashlib.sha256(der).hexdigest()[:12]}", private)
