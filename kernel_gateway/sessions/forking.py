"""Goes back to an earlier cell of a session: in a new session that shares nothing it can change, or in itself."""

from collections.abc import Callable
from dataclasses import replace

from kernel_gateway.audit.checkpointed import Checkpointed
from kernel_gateway.audit.events import Event
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.durable import Durable
from kernel_gateway.sessions.life import Life, Ran
from kernel_gateway.sessions.manifest import Manifest
from kernel_gateway.sessions.session import Session
from kernel_gateway.store.commits import Commit, Mark

NOTHING = Manifest(format=1, cell=0, units=[], order=[])


class Forking:
    def __init__(self, durable: Durable, record: Callable[[Event], None], clock: Callable[[], float]) -> None:
        self._durable, self._record, self._clock = durable, record, clock

    def __repr__(self) -> str:
        return f"<Forking {self._durable.checkpoints!r}>"

    async def child(self, parent: Session, owner: Principal, at: int, session_id: str) -> Life:
        """The life of a new session that goes on after cell `at`. Its parent is as it was.

        Raises GatewayError invalid (there is no such cell), not_available (its state is not kept).
        """
        before, commit = await self._way_to(parent, at)
        now = self._clock()
        life = Life(owner, now, now, parent.life.lineage, at, parent=parent.id, parent_cell=at, is_fresh=True)
        life.last_cell_id = before[-1].cell_id if before else ""
        life.pending = _after(before, commit)
        try:
            if commit is not None:
                place = self._durable.mark(session_id, life)
                mark = self._durable.mark(parent.id, parent.life)
                self._told(life, place, await self._durable.checkpoints.fork(mark, commit, place))
            await self._durable.sources.copy(parent.id, session_id, {ran.cell_id for ran in before})
            for ran in before:
                answers = await self._durable.trail.answers(parent.id, ran.number)
                await self._durable.trail.put(session_id, ran, answers)
            await self._durable.register.put(session_id, life)
        except BaseException:
            await self._durable.forget(session_id)
            raise
        return life

    async def back(self, session: Session, at: int) -> None:
        """The session itself, in a new branch. Nobody else has its turn meanwhile. A death on the way leaves it either
        here or there: `resume` says which."""
        before, commit = await self._way_to(session, at)
        life, durable = session.life, self._durable
        life.going_back_to = at
        await durable.register.put(session.id, life)
        mark = durable.mark(session.id, life)
        branch = replace(mark, epoch=life.epoch + 1)
        if commit is not None:
            placed = await durable.checkpoints.fork(mark, commit, branch)
        else:
            placed = await durable.checkpoints.restart(mark, branch, NOTHING.written())
        self._told(life, branch, placed)
        await self._arrive(session, at, branch.epoch, before, placed)

    async def resume(self, session: Session) -> None:
        """After a death: ends what had begun, or forgets it."""
        life = session.life
        if not life.going_back_to:
            return
        newest = await self._durable.checkpoints.latest(session.id)
        if newest is not None and newest.epoch > life.epoch:
            before = [ran for ran in await self._durable.trail.all(session.id) if ran.number <= life.going_back_to]
            await self._arrive(session, life.going_back_to, newest.epoch, before, newest)
        else:
            life.going_back_to = 0
            await self._durable.register.put(session.id, life)

    async def _arrive(self, session: Session, at: int, epoch: int, before: list[Ran], commit: Commit) -> None:
        life = session.life
        life.epoch, life.cells, life.pending, life.going_back_to = epoch, at, _after(before, commit), 0
        life.last_cell_id = before[-1].cell_id if before else ""
        await self._durable.trail.leave(session.id, at)
        await self._durable.register.put(session.id, life)

    async def _way_to(self, session: Session, at: int) -> tuple[list[Ran], Commit | None]:
        """The cells up to there, and the newest commit among them. Raises GatewayError invalid, not_available."""
        if not 1 <= at <= session.cells:
            cells = f"1 to {session.cells}" if session.cells else "none yet"
            raise GatewayError("invalid", f"there is no cell {at} to go back to; this session has {cells}")
        before = [ran for ran in await self._durable.trail.all(session.id) if ran.number <= at]
        commit = await self._durable.checkpoints.at(session.id, at)
        first = commit.cell if commit is not None else 0
        if set(range(first + 1, at + 1)) - {ran.number for ran in before}:
            raise GatewayError("not_available", f"the state after cell {at} is not kept; go back to a later cell")
        return before, commit

    def _told(self, life: Life, place: Mark, placed: Commit) -> None:
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


def _after(before: list[Ran], commit: Commit | None) -> list[Ran]:
    """Those that are to be run again on top of it."""
    return [ran for ran in before if ran.number > (commit.cell if commit is not None else 0)]
