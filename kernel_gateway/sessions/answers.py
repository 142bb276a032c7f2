"""How long the answers to the calls of a cell are kept: until the state after that very cell is committed.

Where that state lacks something of the cell that cannot be pickled, to make it again is to run the cell again. Then
they stay while anything of the session cannot be pickled, for what is made later may need what the cell made.
"""

from kernel_gateway.sessions.durable import Durable
from kernel_gateway.sessions.life import Life, Ran
from kernel_gateway.sessions.manifest import Manifest


class Answers:
    """Of one session. `_held` are committed cells that kept theirs, in the branch of `_epoch`."""

    def __init__(self, session_id: str, life: Life, durable: Durable) -> None:
        self._session_id, self._life, self._durable = session_id, life, durable
        self._epoch = life.epoch
        self._held: dict[int, Ran] | None = {} if life.cells == 0 else None  # None: not known yet

    def __repr__(self) -> str:
        return f"<Answers of {self._session_id}>"

    async def committed(self, manifest: Manifest, ran: Ran | None) -> None:
        """`manifest` was committed; `ran` is its cell, where that was not committed before."""
        unpicklable = [unit for unit in manifest.units if unit.is_unpicklable]
        if ran is not None and any(ran.number in unit.cells for unit in unpicklable):
            held = await self._known()
            held[ran.number] = ran
        elif ran is not None:
            await self._durable.trail.put(self._session_id, ran)
        if not unpicklable and (held := await self._known()):
            while held:
                await self._durable.trail.put(self._session_id, held.popitem()[1])

    async def _known(self) -> dict[int, Ran]:
        if self._held is None or self._epoch != self._life.epoch:
            checkpoints, trail = self._durable.checkpoints, self._durable.trail
            self._held, self._epoch = {}, self._life.epoch
            for ran in await trail.answered(self._session_id):
                commit = await checkpoints.at(self._session_id, ran.number)
                if commit is not None and commit.cell == ran.number:
                    self._held[ran.number] = ran
        return self._held
