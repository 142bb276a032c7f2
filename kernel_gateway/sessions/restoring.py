"""Gives a fresh kernel what a session's last one held: the newest commit, then the cells after it, run once more."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.sessions.durable import Durable
from kernel_gateway.sessions.life import RAN_TO_ITS_END, Life, Ran
from kernel_gateway.sessions.loading import Loading
from kernel_gateway.sessions.manifest import Manifest, told, tombstones
from kernel_gateway.sessions.rebuilding import Made, Rebuilding, Rerun
from kernel_gateway.sessions.sources import Source

_PASSING = ("kernel_died", "busy", "limited", "disabled", "deadline")
_LOAD, _REBUILD = "load", "rebuild"


@dataclass(slots=True)
class News:
    """What the next answer says of the state: whether it was brought back, what ran again, what is gone and why."""

    restored: bool = False
    rerun: list[int] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


class Restoring:
    def __init__(self, session_id: str, life: Life, durable: Durable) -> None:
        self._session_id, self._life, self._durable = session_id, life, durable

    def __repr__(self) -> str:
        return f"<Restoring {self._session_id}>"

    async def restore(self, kernel: Kernel, rerun: Rerun) -> tuple[int, News]:
        """The cell whose commit was restored, and the news. Raises GatewayError kernel_died."""
        news, committed = News(restored=True), 0
        try:
            if (found := await self._newest()) is not None:
                committed, manifest = found
                await self._fill(kernel, manifest, rerun, news)
        except GatewayError as error:
            if error.code in _PASSING:
                raise
            news.lost.append(f"all variables: {error.message}")
            self._life.pending.clear()
        self._life.pending = [ran for ran in self._life.pending if ran.number > committed]
        await self._rerun(kernel, rerun, news)
        await kernel.load({"count": self._life.cells + 1})
        return committed, news

    async def _newest(self) -> tuple[int, Manifest] | None:
        """The newest commit of a cell that was answered; None where there is none.

        Raises GatewayError where it was damaged, moved, replaced by an older one, or is another image's.
        """
        anchor = await self._durable.anchor(self._session_id)
        commit = await self._durable.checkpoints.at(self._session_id, self._life.cells)
        if commit is None:
            if anchor is not None and await self._durable.checkpoints.latest(self._session_id) is None:
                raise GatewayError("internal", "what was committed is gone; start again")
            return None
        raw = await self._durable.checkpoints.open(self._durable.mark(self._session_id, self._life), commit, anchor)
        return commit.cell, await Manifest.parsed(raw, self._durable.settings.max_state_bytes)

    async def _fill(self, kernel: Kernel, manifest: Manifest, rerun: Rerun, news: News) -> None:
        """Its variables, into the kernel. What is missing is news."""
        if self._life.is_fresh:
            manifest = manifest.without_hidden()
        loading = Loading(self._session_id, self._life, self._durable)
        rebuilding = Rebuilding(self._session_id, self._life, self._durable, loading)
        made, lost = Made(), dict[str, str]()
        can_rebuild = self._life.ended.count(_REBUILD) == 0

        async def rebuild() -> None:
            nonlocal made
            made = await rebuilding.make(kernel, manifest, rerun, can_rebuild)

        async def load() -> None:
            lost.update(await loading.last(kernel, manifest, made.names))

        await self._noting(kernel, _REBUILD, rebuild)
        news.rerun += made.cells
        known = {name: why for name, why in manifest.lost().items() if name not in made.names}
        await self._once(kernel, _LOAD, load, news, "all variables")
        files = [f"{manifest.files} files of the working folder: they go with their kernel"] if manifest.files else []
        images = [stone.told() for stone in tombstones(manifest)]
        news.lost += [*told(known | lost | made.lost), *images, *files]

    async def _once(
        self, kernel: Kernel, what: str, attempt: Callable[[], Awaitable[None]], news: News, lost: str
    ) -> None:
        """What has ended a kernel is not given to the next one; variables have a second try."""
        if self._life.ended.count(what) >= (2 if what == _LOAD else 1):
            news.lost.append(f"{lost}: to bring that back ended the kernel")
        else:
            await self._noting(kernel, what, attempt)

    async def _noting(self, kernel: Kernel, what: str, attempt: Callable[[], Awaitable[None]]) -> None:
        try:
            await attempt()
        except GatewayError as error:
            if error.code == "kernel_died" and not kernel.was_stopped:
                self._life.ended.append(what)
            raise

    async def _rerun(self, kernel: Kernel, rerun: Rerun, news: News) -> None:
        """The cells that were answered and not committed, in their order, within the time for it."""
        pending, settings = self._life.pending, self._durable.settings
        if not pending:
            return
        try:
            sources = await self._durable.sources.exact(self._session_id)
        except GatewayError as error:
            news.lost.append(f"what {_cells(pending)} changed: {error.message}")
            return
        now = asyncio.get_running_loop().time
        until = now() + settings.rerun_seconds
        for ran in pending:
            if now() >= until:
                why = f"running again what was before took over {settings.rerun_seconds:g} s"
                news.lost.append(f"what cell {ran.number} changed: {why}")
                continue
            limited = replace(ran, timeout_seconds=min(ran.timeout_seconds, until - now()))
            await self._rerun_one(kernel, limited, sources.get(ran.cell_id), rerun, news)

    async def _rerun_one(self, kernel: Kernel, ran: Ran, source: Source | None, rerun: Rerun, news: News) -> None:
        if source is None or ran.status not in RAN_TO_ITS_END:
            why = "its text is not kept" if source is None else f"it did not run to its end ({ran.status})"
            news.lost.append(f"what cell {ran.number} changed: {why}")
            return

        async def run() -> None:
            await kernel.load({"count": ran.number})
            status = await rerun(ran, source, await self._durable.trail.answers(self._session_id, ran.number))
            if status == "lost":
                message = f"cell {ran.number}, run again, ended the kernel; send yours again"
                raise GatewayError("kernel_died", message)
            news.rerun.append(ran.number)
            if status != ran.status:
                why = f"over {ran.timeout_seconds:.1f} s" if status == "timeout" else f"`{status}`"
                news.lost.append(f"what cell {ran.number} changed: run again it ended with {why}")

        await self._once(kernel, f"cell {ran.number}", run, news, f"what cell {ran.number} changed")


def _cells(pending: list[Ran]) -> str:
    first, last = pending[0].number, pending[-1].number
    return f"cells {first} to {last}" if first < last else f"cell {last}"
