"""Saves what a session's cells left, once their replies are out: asks the kernel, stores what it gives, says so.

Its law: a cell counts as committed only when the journal has its commit. A cell that waits comes first, and what it
leaves is saved together with what was not saved yet.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from kernel_gateway.audit.checkpointed import Checkpointed
from kernel_gateway.audit.events import Event
from kernel_gateway.broker import Notes
from kernel_gateway.crash import places
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.keeping import Order
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.sessions.answers import Answers
from kernel_gateway.sessions.durable import Durable
from kernel_gateway.sessions.life import Life, Ran
from kernel_gateway.sessions.manifest import Manifest
from kernel_gateway.store.vault import Write

log = logging.getLogger(__name__)

EVERYTHING_TAKES = 6  # times as long as one cell's changes: what is over the budget then goes with its kernel
QUIET_SECONDS = 0.01  # after a reply: so long it has the processor to itself, and a program's next cell is there


class Saving:
    """Of one session. `committed` is the newest cell whose state survives anything; 0 is the empty state."""

    def __init__(
        self,
        session_id: str,
        life: Life,
        durable: Durable,
        record: Callable[[Event], None],
        flush: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
        is_free: Callable[[], bool],
    ) -> None:
        self._session_id, self._life, self._durable = session_id, life, durable
        self._answers = Answers(session_id, life, durable)
        self._record, self._flush, self._clock, self._is_free = record, flush, clock, is_free
        self.committed = 0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[bool] | None = None

    def __repr__(self) -> str:
        return f"<Saving {self._session_id}: {self.committed} of {self._life.cells} committed>"

    def acknowledged(self, ran: Ran, notes: Notes) -> list[Write]:
        """What is written before a cell's answer goes out: that it ran, and what its calls were answered with."""
        durable, answers = self._durable, notes.text() if notes else b""
        return [
            durable.register.sealed(self._session_id, self._life),
            durable.trail.sealed(self._session_id, ran, answers),
        ]

    async def give_way(self) -> None:
        """A cell is about to begin. It waits only where too many before it are not committed."""
        self.disturb()
        if self._is_at_work and len(self._life.pending) >= self._durable.settings.max_uncommitted_cells:
            await self.settled()

    def soon(self, kernel: Kernel) -> None:
        """A reply is on its way."""
        self.disturb()
        if self._life.pending and not self._is_at_work:
            quiet = QUIET_SECONDS if len(self._life.pending) < self._durable.settings.max_uncommitted_cells else 0.0
            self._timer = asyncio.get_running_loop().call_later(quiet, self._begin_if_free, kernel)

    def disturb(self) -> None:
        """A cell begins."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def now(self, kernel: Kernel, *, everything: bool = False) -> bool:
        """Whether the state is committed, whatever it takes. Nothing else runs in the kernel meanwhile."""
        self.disturb()
        if self._is_at_work:
            await self.settled()
        self._begin(kernel, everything=everything)
        return await self.settled()

    async def settled(self) -> bool:
        """Once nothing is under way; False where the last save did not succeed."""
        if self._task is None:
            return not self._life.pending
        await asyncio.wait({self._task})
        return not self._task.cancelled() and self._task.result()

    @property
    def _is_at_work(self) -> bool:
        return self._task is not None and not self._task.done()

    def _begin_if_free(self, kernel: Kernel) -> None:
        self._timer = None
        if self._is_free():  # else the end of the cell that runs asks again
            self._begin(kernel)

    def _begin(self, kernel: Kernel, *, everything: bool = False) -> None:
        self._task = asyncio.create_task(self._save(kernel, everything), name="checkpoint")
        self._task.add_done_callback(lambda task: self._go_on(kernel, task))

    def _go_on(self, kernel: Kernel, task: asyncio.Task[bool]) -> None:
        """With what was answered while the last commit was written."""
        if not task.cancelled() and task.result() and not kernel.died.done():
            self.soon(kernel)

    async def _save(self, kernel: Kernel, everything: bool) -> bool:
        """False where a cell came first, or it failed: then the next save has it all."""
        settings = self._durable.settings
        seconds = settings.checkpoint_seconds * (EVERYTHING_TAKES if everything else 1)
        order = Order(self._life.cells, seconds, settings.max_checkpoint_bytes, everything)
        try:
            return await kernel.save(order, _Draft(self, order.cell))
        except GatewayError as error:
            log.warning("the state of a session is not kept: %s", error.message)
        except Exception as error:
            log.error("saving a session's state failed: %s", places(error))
        return False

    async def commit(self, cell: int, raw: bytes, chunks: Mapping[str, bytes]) -> None:
        """Raises GatewayError; then nothing of it counts."""
        life, durable = self._life, self._durable
        durable.checkpoints.refuse_long(raw)
        manifest = await Manifest.parsed(raw, durable.settings.max_state_bytes)
        if manifest.cell != cell:
            raise GatewayError("invalid", "a manifest of another cell")
        commit = await durable.checkpoints.commit(durable.mark(self._session_id, life), raw, chunks, cell)
        self._record(
            Checkpointed(
                at=self._clock(),
                organisation=life.owner.organisation,
                subject=life.owner.subject,
                client=life.owner.client,
                session_id=self._session_id,
                cell=cell,
                checkpoint=commit.seq,
                digest=commit.digest,
                written_bytes=commit.written_bytes,
                lost=len(manifest.lost()),
            )
        )
        await self._flush()
        self.committed = cell
        life.ended.clear()
        last = [each for each in life.pending if each.number == cell]
        life.pending = [each for each in life.pending if each.number > cell]
        await self._answers.committed(manifest, last[0] if last else None)


class _Draft:
    """What one save has given so far."""

    def __init__(self, saving: Saving, cell: int) -> None:
        self._saving, self._cell = saving, cell
        self._chunks: dict[str, bytes] = {}

    async def put(self, chunks: Mapping[str, bytes]) -> None:
        self._chunks |= chunks

    async def commit(self, manifest: bytes) -> None:
        await self._saving.commit(self._cell, manifest, self._chunks)
