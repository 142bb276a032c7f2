"""Goes back to an earlier cell of a session: in a new session that shares nothing it can change, or in itself."""

from collections.abc import Callable
from dataclasses import replace

from kernel_gateway.audit.checkpointed import Checkpointed
from kernel_gateway.audit.events import Event
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.durable import Durable
from kernel_gateway.sessions.life import Life, Ran
from kernel_gateway.sessions.session import Session
from kernel_gateway.store.commits import Mark


class Forking:
    def __init__(self, durable: Durable, record: Callable[[Event], None], clock: Callable[[], float]) -> None:
        self._durable, self._record, self._clock = durable, record, clock

    def __repr__(self) -> str:
        return f"<Forking {self._durable.checkpoints!r}>"

    async def child(self, parent: Session, owner: Principal, at: int, session_id: str) -> Life:
        """The life of a new session that goes on after cell `at`. Its parent is as it was.

        Raises GatewayError invalid (there is no such cell), not_available (its state is not kept).
        """
        before = await self._way_to(parent, at)
        now = self._clock()
        life = Life(owner, now, now, parent.life.lineage, at, parent=parent.id, parent_cell=at, is_fresh=True)
        life.last_cell_id = before[-1].cell_id if before else ""
        place = self._durable.mark(session_id, life)
        life.pending = await self._place(self._durable.mark(parent.id, parent.life), place, life, at, before)
        await self._durable.sources.copy(parent.id, session_id, {ran.cell_id for ran in before})
        for ran in before:
            answers = await self._durable.trail.answers(parent.id, ran.number)
            await self._durable.trail.put(session_id, ran, answers)
        await self._durable.register.put(session_id, life)
        return life

    async def back(self, session: Session, at: int) -> None:
        """The session itself, in a new branch. Nobody else has its turn meanwhile."""
        before = await self._way_to(session, at)
        life = session.life
        mark = self._durable.mark(session.id, life)
        branch = replace(mark, epoch=life.epoch + 1)
        pending = await self._place(mark, branch, life, at, before)
        life.epoch, life.pending = branch.epoch, pending
        life.cells, life.last_cell_id = at, before[-1].cell_id if before else ""
        await self._durable.trail.leave(session.id, at)
        await self._durable.register.put(session.id, life)

    async def _way_to(self, session: Session, at: int) -> list[Ran]:
        if not 1 <= at <= session.cells:
            cells = f"1 to {session.cells}" if session.cells else "none yet"
            raise GatewayError("invalid", f"there is no cell {at} to go back to; this session has {cells}")
        return [ran for ran in await self._durable.trail.all(session.id) if ran.number <= at]

    async def _place(self, parent: Mark, place: Mark, life: Life, at: int, before: list[Ran]) -> list[Ran]:
        """Gives `place` the newest commit up to `at`, and says which cells are to be run on top of it."""
        checkpoints, first = self._durable.checkpoints, 0
        if (commit := await checkpoints.at(parent.session_id, at)) is not None:
            placed = await checkpoints.fork(parent, commit, place)
            first = commit.cell
            owner = life.owner
            self._record(
                Checkpointed(
                    at=self._clock(),
                    organisation=owner.organisation,
                    subject=owner.subject,
                    client=owner.client,
                    session_id=place.session_id,
                    cell=placed.cell,
                    checkpoint=placed.seq,
                    digest=placed.digest,
                )
            )
        missing = set(range(first + 1, at + 1)) - {ran.number for ran in before}
        if missing:
            raise GatewayError("not_available", f"the state after cell {at} is not kept; go back to a later cell")
        return [ran for ran in before if ran.number > first]
