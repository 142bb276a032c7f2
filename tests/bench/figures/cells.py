"""Cells over MCP: one that does nothing, and the ten that an agent would send."""

import time
from collections.abc import Awaitable, Callable, Sequence

from tests.bench.measurement import Bar, Row, in_turn, since
from tests.bench.rig import Rig

PLAIN = "plain ipykernel by jupyter_client"
JKG = "jupyter-kernel-gateway"
TRIVIAL = "1 + 1"
RUN = (
    "prices = [19.5, 3.25, 42.0, 7.75, 12.5]; len(prices)",
    "import json, math, re, statistics",
    "mean, spread = statistics.mean(prices), statistics.stdev(prices); print(mean, spread)",
    "def score(price):\n    return (price - mean) / spread",
    "scores = {price: round(score(price), 3) for price in prices}; scores",
    "text = json.dumps(scores); print(len(text))",
    "numbers = [float(found) for found in re.findall(r'[0-9.]+', text)]; numbers[:3]",
    "try:\n    prices['first']\nexcept TypeError as error:\n    print(error)",
    "for price in sorted(prices):\n    print(f'{price:8.2f} {score(price):+.3f}')",
    "math.fsum(numbers)",
)


async def cell(rig: Rig) -> list[Row]:
    session = (await rig.agent.cell(TRIVIAL))["session_id"]
    await rig.plain.ask("start", code=TRIVIAL)
    official = await _round_trips(rig, lambda: rig.agent.cell(TRIVIAL, session), "cell round trip")
    lean = await _round_trips(rig, lambda: rig.lean.cell(TRIVIAL, session), "cell round trip, lean client")
    await rig.agent.close(session)
    await rig.plain.ask("stop")
    note = "the same cells of the same session, without the cost of the official MCP client"
    return [
        Row("cell round trip over MCP", "ms", official[0], PLAIN, official[1], Bar(1.0, "ratio")),
        Row("cell round trip over MCP, lean HTTP client", "ms", lean[0], PLAIN, lean[1], note=note),
    ]


async def run(rig: Rig) -> list[Row]:
    async def ours() -> Sequence[float]:
        started = time.perf_counter()
        session = (await rig.agent.cell(RUN[0]))["session_id"]
        for code in RUN[1:]:
            await rig.agent.cell(code, session)
        taken = since(started)
        await rig.agent.close(session)
        return [taken]

    async def theirs() -> Sequence[float]:
        taken = await rig.jkg.ask("start", code=RUN[0])
        taken += sum([await rig.jkg.ask("cell", code=code) for code in RUN[1:]])
        await rig.jkg.ask("stop")
        return [taken]

    counting = rig.counting("ten-cell run")
    samples = await in_turn(ours, theirs, rounds=rig.rounds(10), warm_up=1, progress=counting)
    name = "ten-cell run over MCP, session start included"
    note = "its server as its users get it: 40 ms of each of its cells are Nagle's algorithm against a delayed ACK"
    return [Row(name, "ms", samples[0], JKG, samples[1], Bar(0.1, "ratio"), note)]


async def _round_trips(
    rig: Rig, send: Callable[[], Awaitable[object]], name: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    async def ours() -> Sequence[float]:
        started = time.perf_counter()
        await send()
        return [since(started)]

    async def theirs() -> Sequence[float]:
        return [await rig.plain.ask("cell", code=TRIVIAL)]

    return await in_turn(ours, theirs, rounds=rig.rounds(200), warm_up=rig.rounds(20), progress=rig.counting(name))
