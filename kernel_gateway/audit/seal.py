"""The two keys of the ledger. They lie in files of their own, so that the database alone cannot forge it."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel_gateway.store.keys import Keys


@dataclass(frozen=True, slots=True)
class Seal:
    """`chain` authenticates each record; `signing` signs heads, for whoever must not be able to make records.

    `is_new`: there was no `chain` before this start, and so no ledger.
    """

    chain: bytes = field(repr=False)
    signing: Ed25519PrivateKey = field(repr=False)
    is_new: bool = False

    @classmethod
    def of(cls, keys: Keys) -> "Seal":
        """Raises ConfigError as Keys does."""
        return cls(keys.secret("ledger"), keys.signing("ledger"), keys.has_made("ledger"))
