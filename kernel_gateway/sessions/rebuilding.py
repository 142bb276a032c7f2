"""Makes variables again that cannot be pickled, at a restore: runs the fewest cells that lead to them, within bounds.

Each runs on the state it began with, and its calls get the answers of then. What comes of it are those variables alone:
whatever the commit holds is loaded over it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.sessions.durable import Durable
from kernel_gateway.sessions.history import History, Past
from kernel_gateway.sessions.life import Life, Ran
from kernel_gateway.sessions.loading import Loading
from kernel_gateway.sessions.manifest import Manifest, Unit, chosen
from kernel_gateway.sessions.plans import Plan, needed, plan_of, words
from kernel_gateway.sessions.sources import Source

Rerun = Callable[[Ran, Source, bytes], Awaitable[str]]
"""Runs a cell again with what its calls were answered with, and says how it ended this time: with `not_available` where
one of its calls has no answer on record."""


@dataclass(slots=True)
class Made:
    """`names` are in the kernel now, `cells` ran for that, `lost` says of the others why not."""

    names: set[str] = field(default_factory=set)
    cells: list[int] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)

    def give_up(self, unit: Unit, why: str) -> None:
        self.lost |= dict.fromkeys(unit.names, f"{unit.lost}; it was not made again: {why}")


class Rebuilding:
    def __init__(self, session_id: str, life: Life, durable: Durable, loading: Loading) -> None:
        self._settings, self._loading = durable.settings, loading
        self._history = History(session_id, life, durable)

    def __repr__(self) -> str:
        return f"<Rebuilding {self._history!r}>"

    async def make(self, kernel: Kernel, manifest: Manifest, rerun: Rerun, is_safe: bool) -> Made:
        """What of `manifest` can be made again; the kernel holds more than that afterwards. Not `is_safe` where doing
        so ended a kernel before. Raises GatewayError kernel_died."""
        made, units = Made(), [unit for unit in manifest.units if unit.is_unpicklable]
        if not is_safe:
            for unit in units:
                made.give_up(unit, "the kernel ended when that was tried; run its cells again")
            return made
        plans = self._within_bounds(await self._planned(units, made), made)
        ends_at = asyncio.get_running_loop().time() + self._settings.rerun_seconds
        for base in sorted({base for plan in plans for base in plan.stages}):
            if stage := [plan for plan in plans if plan.stages.get(base)]:
                failed = await self._run(kernel, base, stage, rerun, ends_at, made)
                plans = [plan for plan in plans if plan not in failed]
        made.names = {name for plan in plans for name in plan.unit.names}
        return made

    async def _planned(self, units: list[Unit], made: Made) -> list[Plan]:
        plans = []
        for unit in units:
            try:
                plans.append(await plan_of(unit, self._history))
            except GatewayError as error:
                made.give_up(unit, error.message)
        return plans

    def _within_bounds(self, plans: list[Plan], made: Made) -> list[Plan]:
        """As many of them as may be, those of few cells first."""
        most, cells, kept = self._settings.max_rebuild_cells, set[int](), []
        for plan in sorted(plans, key=lambda plan: len(plan.cells)):
            if len(cells | plan.cells) > most:
                made.give_up(plan.unit, f"it takes {len(plan.cells)} cells, and {most} are run again for one restore")
            else:
                cells |= plan.cells
                kept.append(plan)
        return kept

    async def _run(
        self, kernel: Kernel, base: int, plans: list[Plan], rerun: Rerun, ends_at: float, made: Made
    ) -> list[Plan]:
        """The cells of one stage. Returns the plans that come to nothing."""
        cells = max((plan.stages[base] for plan in plans), key=len)
        try:
            await self._load(kernel, base, cells, plans)
        except GatewayError as error:
            if error.code == "kernel_died":
                raise
            for plan in plans:
                made.give_up(plan.unit, error.message)
            return plans
        for past in cells:
            if why := await self._why_not(kernel, past, rerun, ends_at, made):
                failed = [plan for plan in plans if past.ran.number in plan.cells]
                for plan in failed:
                    made.give_up(plan.unit, why)
                return failed
        return []

    async def _load(self, kernel: Kernel, base: int, cells: list[Past], plans: list[Plan]) -> None:
        before = await self._history.before(base + 1)
        kept = {name for plan in plans for name in plan.names} & before.lost().keys()
        names = needed(before, words(cells).union(*(plan.needs for plan in plans)))
        manifest = before if names is None else chosen(before, names, kept)
        await self._loading.passing(kernel, manifest, kept, self._settings.max_rebuild_bytes)

    async def _why_not(self, kernel: Kernel, past: Past, rerun: Rerun, ends_at: float, made: Made) -> str:
        """Runs one cell. "" where it ended as it did then."""
        number, left = past.ran.number, ends_at - asyncio.get_running_loop().time()
        if left <= 0:
            return f"its cells took over {self._settings.rerun_seconds:g} s"
        await kernel.load({"count": number})
        ran = replace(past.ran, timeout_seconds=min(past.ran.timeout_seconds, left))
        made.cells.append(number)
        status = await rerun(ran, past.source, await self._history.answers(number))
        if status == "lost":
            raise GatewayError("kernel_died", f"cell {number}, run again, ended the kernel; send yours again")
        if status == "timeout":
            return f"cell {number} took longer than the {self._settings.rerun_seconds:g} s that its cells have"
        if status == "not_available":
            return f"cell {number} calls an operation whose answer was not kept, and none is called twice"
        return "" if status == past.ran.status else f"cell {number} ended with `{status}` when it was run again"
