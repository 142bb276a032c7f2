"""The record of a stored checkpoint, which anchors it: see store/opening.py."""

from dataclasses import dataclass
from typing import ClassVar

from kernel_gateway.audit.bounds import Count, Digest
from kernel_gateway.audit.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointed(Event):
    """The state after `cell` is stored. `checkpoint` counts those of the session, `digest` is keyed.

    The session's newest such record says which stored checkpoint is the newest: no older one is taken for it. `lost`
    counts the units of state that the checkpoint could not hold; `written_bytes` tells nothing of other sessions.
    """

    kind: ClassVar[str] = "checkpointed"

    cell: Count = 0
    checkpoint: Count = 0
    digest: Digest = ""
    written_bytes: Count = 0
    lost: Count = 0
