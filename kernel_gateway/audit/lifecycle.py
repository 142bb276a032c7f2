"""What happens to a session's state between its cells."""

from dataclasses import dataclass
from typing import ClassVar

from kernel_gateway.audit.bounds import Count, Id, Word
from kernel_gateway.audit.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionForked(Event):
    """It goes on after `cell` of `parent`, which is itself where it went back."""

    kind: ClassVar[str] = "session_forked"

    parent: Id = ""
    cell: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHibernated(Event):
    """Its kernel was let go, its state is kept. `reason` is one word: idle, room, shutdown."""

    kind: ClassVar[str] = "session_hibernated"

    reason: Word = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRestored(Event):
    """A new kernel holds what its last one held after `cell`; `rerun` cells ran again, `lost` things are gone."""

    kind: ClassVar[str] = "session_restored"

    cell: Count = 0
    rerun: Count = 0
    lost: Count = 0
