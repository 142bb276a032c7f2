"""What it takes to keep sessions: where their state, their cells' text and their calls' answers lie."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kernel_gateway.audit.checkpointed import Checkpointed
from kernel_gateway.audit.journal import Journal
from kernel_gateway.sessions.life import Life
from kernel_gateway.sessions.register import Register
from kernel_gateway.sessions.settings import SessionSettings
from kernel_gateway.sessions.sources import Sources
from kernel_gateway.sessions.trail import Trail
from kernel_gateway.store.checkpoints import Checkpoints
from kernel_gateway.store.commits import Anchor, Mark


async def anchor(journal: Journal, session_id: str) -> Anchor | None:
    """What the journal says of the session's newest commit."""
    event = await journal.newest(session_id, Checkpointed.kind)
    return None if event is None else Anchor(event["checkpoint"], event["digest"])


@dataclass(frozen=True, slots=True)
class Durable:
    """One for all sessions. `anchor(session_id)` is the newest commit of one that the journal knows; `image()` is what
    kernels are made of."""

    checkpoints: Checkpoints
    register: Register
    sources: Sources
    trail: Trail
    anchor: Callable[[str], Awaitable[Anchor | None]]
    image: Callable[[], str]
    catalog: str
    settings: SessionSettings

    def mark(self, session_id: str, life: Life) -> Mark:
        return Mark(
            organisation=life.owner.organisation,
            lineage=life.lineage,
            session_id=session_id,
            epoch=life.epoch,
            image=self.image(),
            catalog=self.catalog,
        )

    async def left_over(self) -> set[str]:
        """What has state here and no life: its deletion, or its beginning, was cut short."""
        kept = {*await self.checkpoints.session_ids(), *await self.trail.session_ids()}
        return {each for each in kept - {*await self.register.ids()} if not self.register.are_elsewhere(each)}

    async def forget(self, session_id: str) -> None:
        """Everything that is kept of it is deleted."""
        await self.checkpoints.delete(session_id)
        await self.register.remove(session_id)
