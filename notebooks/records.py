"""What the owner's session store still holds of a cell's calls: which were done, and what they were answered with."""

from dataclasses import dataclass
from typing import Protocol

from kernel_gateway.limits.effects import ANSWER, Effects
from kernel_gateway.sessions.trail import Trail
from kernel_gateway.store.vault import Vault


class Records(Protocol):
    """`ordinal` numbers identical calls of one cell, from 1; `key` is the one that an upstream sees; `noted` is for
    broker.recorded.Recorded."""

    async def noted(self, session_id: str, cell: int) -> bytes: ...

    async def answer(
        self, session_id: str, cell_id: str, operation: str, argument_digest: str, ordinal: int
    ) -> bytes | None: ...

    async def was_done(self, session_id: str, cell_id: str, key: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class KeptRecords:
    """Of mutations their rows within the retention, and their answers while their session lives; of any call the
    answer, until the state after its cell is committed."""

    effects: Effects
    vault: Vault
    trail: Trail

    async def noted(self, session_id: str, cell: int) -> bytes:
        return await self.trail.answers(session_id, cell)

    async def answer(
        self, session_id: str, cell_id: str, operation: str, argument_digest: str, ordinal: int
    ) -> bytes | None:
        key = await self._key(session_id, cell_id, operation, argument_digest, ordinal)
        return None if key is None else await self.vault.get(session_id, ANSWER, key)

    async def was_done(self, session_id: str, cell_id: str, key: str) -> bool:
        return key in {effect.key for effect in await self.effects.done_in(session_id, cell_id)}

    async def _key(
        self, session_id: str, cell_id: str, operation: str, argument_digest: str, ordinal: int
    ) -> str | None:
        done = [
            effect.key
            for effect in await self.effects.done_in(session_id, cell_id)
            if (effect.operation, effect.arguments) == (operation, argument_digest)
        ]
        return done[ordinal - 1] if ordinal <= len(done) else None
