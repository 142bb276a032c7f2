"""What keeping a session's state costs: the next cell, and the disk."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.figures.restoring import PACKAGES, at_rest, committed, resting
from tests.bench.measurement import Bar, Row, in_turn, since
from tests.bench.rig import Rig
from tests.bench.states import CHANGE_ARRAYS, State, arrays, dumped

NOT_SAVED = "a session that is not saved"
PAUSES = {
    "next cell 200 ms after one that changed 10 MB of arrays": (arrays(10), 0.2),
    "next cell 300 ms after one that changed 100 MB of arrays": (arrays(100), 0.3),
}
ROUNDS = 7
SESSIONS = 40
_GB = 1_000_000_000
_NEXT = "1 + 1"
_FRAME = State(
    """\
import numpy, pandas
frame = pandas.DataFrame(numpy.random.default_rng().random((12_500, 10)))
def above(limit):
    return lambda: int((frame > limit).sum().sum())
half = above(0.5)""",
    "half()",
)


async def pause(rig: Rig) -> list[Row]:
    """A cell changes everything, the agent thinks, and the next cell is timed; once saved meanwhile, once not."""
    return [await _paused(rig, name, state, seconds) for name, (state, seconds) in PAUSES.items()]


async def disk(rig: Rig) -> list[Row]:
    """All that the gateway's data has on the disk: chunks, database with its log, journal."""
    count = rig.rounds(SESSIONS)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "state" / "data"
        size = await dumped(_FRAME, Path(folder) / "pickle", PACKAGES)
        async with resting(Path(folder)) as (service, agent):
            await service.ask("time_rests")
            await at_rest(agent, (await agent.cell(_FRAME.made))["session_id"])
            before, opened = _on_the_disk(data), list[str]()
            for done in range(count):
                rig.progress.count("hibernate", done, count)
                opened.append((await agent.cell(_FRAME.made))["session_id"])
            for each in opened:
                await at_rest(agent, each)
            each_bytes = (_on_the_disk(data) - before) / count
            rests = await service.ask("rests")
    note = f"{count}, each with a frame of 1 MB and a closure: {each_bytes / 1000:.0f} kB of the gateway's data"
    cloudpickle = "one full cloudpickle of the namespace"
    return [
        Row("hibernated sessions per GB of disk", "", (_GB / each_bytes,), cloudpickle, (_GB / size,), note=note),
        Row(
            "hibernate a session", "ms", tuple(rests), note="from the decision until its kernel is gone, all looked at"
        ),
    ]


async def _paused(rig: Rig, name: str, state: State, seconds: float) -> Row:
    saved, not_saved = [(await rig.agent.cell(state.made))["session_id"] for _ in range(2)]

    async def ours() -> Sequence[float]:
        taken = await _next(rig, saved, seconds)
        await committed(rig.agent, saved)
        return [taken]

    async def theirs() -> Sequence[float]:
        await rig.service.ask("keep_nothing")
        taken = await _next(rig, not_saved, seconds)
        await rig.service.ask("keep")
        return [taken]

    samples = await in_turn(ours, theirs, rounds=rig.rounds(ROUNDS), warm_up=1, progress=rig.counting(name))
    for each in (saved, not_saved):
        await rig.agent.close(each)
    return Row(name, "ms", samples[0], NOT_SAVED, samples[1], Bar(1.1, "ratio"))


async def _next(rig: Rig, session_id: str, seconds: float) -> float:
    await rig.agent.cell(CHANGE_ARRAYS, session_id)
    await asyncio.sleep(seconds)
    started = time.perf_counter()
    await rig.agent.cell(_NEXT, session_id)
    return since(started)


def _on_the_disk(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
