"""Gives a fresh kernel what a session's last one held: the newest commit, then the cells after it, run once more."""

import asyncio
from dataclasses import dataclass, field, replace

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.sessions.durable import Durable
from kernel_gateway.sessions.life import RAN_TO_ITS_END, Life, Ran
from kernel_gateway.sessions.loading import Loading
from kernel_gateway.sessions.manifest import Manifest, told
from kernel_gateway.sessions.rebuilding import Rebuilding, Rerun
from kernel_gateway.sessions.sources import Source


@dataclass(slots=True)
class News:
    """What the next answer says of the state: whether it was brought back, what ran again, what is gone and why."""

    restored: bool = False
    rerun: list[int] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


class Restoring:
    """`rebuilds`: whether cells are run again for what could not be pickled."""

    def __init__(self, session_id: str, life: Life, durable: Durable, *, rebuilds: bool = True) -> None:
        self._session_id, self._life, self._durable, self._rebuilds = session_id, life, durable, rebuilds

    def __repr__(self) -> str:
        return f"<Restoring {self._session_id}>"

    async def restore(self, kernel: Kernel, rerun: Rerun) -> tuple[int, News]:
        """The cell whose commit was restored, and the news. Raises GatewayError kernel_died."""
        news = News(restored=True)
        committed = 0
        try:
            if (found := await self._newest()) is not None:
                committed, manifest = found
                news.lost += await self._fill(kernel, manifest, rerun, news)
        except GatewayError as error:
            if error.code == "kernel_died":
                raise
            news.lost.append(f"all variables: {error.message}")
            self._life.pending.clear()
        self._life.pending = [ran for ran in self._life.pending if ran.number > committed]
        await self._rerun(kernel, rerun, news)
        await kernel.load({"count": self._life.cells + 1})
        return committed, news

    async def _newest(self) -> tuple[int, Manifest] | None:
        """The newest commit that the journal knows of; None where there is none.

        Raises GatewayError where it was damaged, moved, replaced by an older one, or is another image's.
        """
        anchor = await self._durable.anchor(self._session_id)
        if anchor is None:
            return None
        commit = await self._durable.checkpoints.latest(self._session_id)
        if commit is None:
            raise GatewayError("internal", "what was committed is gone; start again")
        raw = await self._durable.checkpoints.open(self._durable.mark(self._session_id, self._life), commit, anchor)
        return commit.cell, Manifest.read(raw)

    async def _fill(self, kernel: Kernel, manifest: Manifest, rerun: Rerun, news: News) -> list[str]:
        """Its variables, into the kernel. Returns what is missing."""
        if self._life.is_fresh:
            manifest = manifest.without_hidden()
        loading = Loading(self._session_id, self._life, self._durable)
        rebuilding = Rebuilding(self._session_id, self._life, self._durable, loading)
        made = await rebuilding.make(kernel, manifest, rerun, self._rebuilds)
        news.rerun += made.cells
        known = {name: why for name, why in manifest.lost().items() if name not in made.names}
        lost = known | await loading.last(kernel, manifest, made.names) | made.lost
        files = [f"{manifest.files} files of the working folder: they go with their kernel"] if manifest.files else []
        return [*told(lost), *files]

    async def _rerun(self, kernel: Kernel, rerun: Rerun, news: News) -> None:
        """The cells that were answered and not committed, in their order, within the time for it."""
        pending, settings = self._life.pending, self._durable.settings
        if not pending:
            return
        try:
            sources = await self._durable.sources.exact(self._session_id)
            ends_at = asyncio.get_running_loop().time() + settings.rerun_seconds
            for ran in pending:
                await self._rerun_one(kernel, ran, sources.get(ran.cell_id), rerun, news, ends_at)
        except GatewayError as error:
            news.lost.append(f"what {_cells(pending)} changed: {error.message}")
        except TimeoutError:
            left = [ran for ran in pending if ran.number > max(news.rerun, default=0)]
            why = f"running it again took over {settings.rerun_seconds:g} s"
            news.lost.append(f"what {_cells(left or pending)} changed: {why}")

    async def _rerun_one(
        self, kernel: Kernel, ran: Ran, source: Source | None, rerun: Rerun, news: News, ends_at: float
    ) -> None:
        """Raises TimeoutError where it was interrupted for the time that all of them have."""
        if source is None or ran.status not in RAN_TO_ITS_END:
            why = "its text is not kept" if source is None else f"it did not run to its end ({ran.status})"
            news.lost.append(f"what cell {ran.number} changed: {why}")
            return
        await kernel.load({"count": ran.number})
        if (left := ends_at - asyncio.get_running_loop().time()) <= 0:
            raise TimeoutError
        again = replace(ran, timeout_seconds=min(ran.timeout_seconds, left))
        status = await rerun(again, source, await self._durable.trail.answers(self._session_id, ran.number))
        if status == "timeout":
            raise TimeoutError
        news.rerun.append(ran.number)
        if status != ran.status:
            news.lost.append(f"what cell {ran.number} changed: it ended with `{status}` when it was run again")


def _cells(pending: list[Ran]) -> str:
    first, last = pending[0].number, pending[-1].number
    return f"cells {first} to {last}" if first < last else f"cell {last}"
