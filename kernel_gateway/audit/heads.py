"""Signed heads: what the ledger was at a moment, for anybody who has the public key. Pure.

Exported, a head proves later that the records up to it are still there. The text that is signed is the canonical JSON
(RFC 8785: sorted names, no spaces) of the object without `signature`.
"""

import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kernel_gateway.audit.chain import Link
from kernel_gateway.errors import ConfigError

PURPOSE = "kernel-gateway ledger 1"  # part of what is signed, so that no other signature passes for a head's


@dataclass(frozen=True, slots=True)
class Head:
    """The record `seq` was the last one at `at`, in whole seconds since the epoch; `signature` is Ed25519, in hex."""

    seq: int
    at: int
    mac: str
    signature: str = ""

    @property
    def link(self) -> Link:
        return Link(self.seq, self.mac)

    def signed_text(self) -> bytes:
        values = {"at": self.at, "mac": self.mac, "purpose": PURPOSE, "seq": self.seq}
        return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()

    def json(self) -> str:
        return json.dumps(json.loads(self.signed_text()) | {"signature": self.signature})

    def is_signed_by(self, key: Ed25519PublicKey) -> bool:
        try:
            key.verify(bytes.fromhex(self.signature), self.signed_text())
        except (InvalidSignature, ValueError):
            return False
        return True


def sign(key: Ed25519PrivateKey, link: Link, at: float) -> Head:
    unsigned = Head(link.seq, int(at), link.mac)
    return Head(unsigned.seq, unsigned.at, unsigned.mac, key.sign(unsigned.signed_text()).hex())


def parse(text: str) -> Head:
    """What `json` made. Raises ConfigError where it is something else."""
    try:
        values = json.loads(text)
        head = Head(values["seq"], values["at"], values["mac"], values["signature"])
    except (ValueError, KeyError, TypeError):
        head = None
    if head is None or values.get("purpose") != PURPOSE or not _typed(head):
        raise ConfigError("the head cannot be read; give the file that `kernel-gateway audit head` printed")
    return head


def _typed(head: Head) -> bool:
    return type(head.seq) is type(head.at) is int and type(head.mac) is type(head.signature) is str
