"""How long a kernel takes: from its launcher, as a new session over MCP, and a hundred at once."""

import statistics
import time

from tests.bench.figures.cells import JKG, PLAIN
from tests.bench.measurement import Bar, Row, in_turn, percentile_95, since
from tests.bench.rig import Rig

FIRST = "import numpy\nint(numpy.arange(10).sum())"
SESSIONS = 30
BURST = 100


async def launch(rig: Rig) -> list[Row]:
    async def ours() -> list[float]:
        return [await rig.launching.ask("start")]

    async def theirs() -> list[float]:
        return [await rig.plain.ask("boot")]

    counting = rig.counting("launch")
    samples = await in_turn(ours, theirs, rounds=rig.rounds(20), warm_up=2, progress=counting)
    note = "both from the request to the reply of kernel_info, ours with its claim; a template, if any, is warm"
    return [Row("launch to kernel_info", "ms", samples[0], PLAIN, samples[1], Bar(0.12, "ratio"), note)]


async def session(rig: Rig) -> list[Row]:
    """Ours without a pause between them, so that refilling the pool is part of it; none is closed before the last."""
    count = rig.rounds(SESSIONS)
    await rig.agent.close((await rig.agent.cell(FIRST))["session_id"])
    theirs = [await _of_jkg(rig) for _ in range(count // 6)]
    ours, opened = list[float](), list[str]()
    for done in range(count):
        rig.progress.count("session start", done, count)
        started = time.perf_counter()
        opened.append((await rig.agent.cell(FIRST))["session_id"])
        ours.append(since(started))
    for each in opened:
        await rig.agent.close(each)
    theirs += [await _of_jkg(rig) for _ in range(count // 6 + 1)]
    first, spread = "session start: new session to first result over MCP", "session start: p95 over median"
    note = f"{count} back to back while the pool refills, all kept open; a cell that uses numpy"
    return [
        Row(first, "ms", tuple(ours), JKG, tuple(theirs), Bar(0.04, "ratio"), note),
        Row(spread, "", (percentile_95(ours) / statistics.median(ours),), bar=Bar(3.0, "value")),
    ]


async def burst(rig: Rig) -> list[Row]:
    count = 4 if rig.quick else BURST
    await rig.launching.ask("start")  # a template, if any, is warm from here on
    seconds = []
    for done in range(rig.rounds(3)):
        rig.progress.count("a hundred at once", done, 3)
        seconds.append(await rig.launching.ask("burst", count=count))
    note = "all alive at once, each claimed and asked for kernel_info"
    return [Row("100 kernels started and answering", "s", tuple(seconds), bar=Bar(3.0, "value"), note=note)]


async def _of_jkg(rig: Rig) -> float:
    taken: float = await rig.jkg.ask("start", code=FIRST)
    await rig.jkg.ask("stop")
    return taken
