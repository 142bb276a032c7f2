"""What names a checkpoint: whose it is, and which."""

from dataclasses import dataclass

from kernel_gateway.errors import GatewayError


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose a checkpoint is and what it was made with: all of it is authenticated with every stored value.

    `lineage` is the same for a session and everything forked from it. `epoch` counts how often the session was put back
    to an earlier cell. `image` and `catalog` are the digests of what the cells ran in.
    """

    organisation: str
    lineage: str
    session_id: str
    epoch: int
    image: str
    catalog: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """The newest checkpoint that is known from outside of the store: the ledger's last `Checkpointed` of a session."""

    seq: int
    digest: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A stored checkpoint: the state after `cell`. `seq` is 1, 2, 3 ... within its session, over all epochs.

    `digest` is keyed, 64 hex digits, and covers the manifest with all that it belongs to; `written_bytes` is what it
    would have added to the disk if no other session held any of it, so that it tells nothing of theirs.
    """

    seq: int
    digest: str
    written_bytes: int
    cell: int
    epoch: int

    @property
    def anchor(self) -> Anchor:
        return Anchor(self.seq, self.digest)


class OutdatedError(GatewayError):
    """Sound, but made with another image or catalog than there is now: the cells can be run again instead."""

    def __init__(self, what: str) -> None:
        super().__init__("conflict", f"the checkpoint was made with another {what}; run the session's cells again")
