"""What is measured: a function each, from a rig to its rows. A new figure is one more function in FIGURES."""

import json
import time
from collections.abc import Awaitable, Callable, Sequence

from tests.bench.agent import Agent
from tests.bench.measurement import Bar, Row, in_turn
from tests.bench.rig import Rig

Figure = Callable[[Rig], Awaitable[list[Row]]]

PLAIN = "plain ipykernel by jupyter_client"
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
CALLS = 50
CALL = f"""\
import json, time
times = []
for _ in range({CALLS}):
    started = time.perf_counter()
    image_ops.quota_get()
    times.append((time.perf_counter() - started) * 1000)
print(json.dumps(times))
"""


async def run(rig: Rig) -> list[Row]:
    """New sessions, each used for ten cells: when the first result is there, and when the tenth is."""
    starts: dict[str, list[float]] = {"ours": [], "theirs": []}

    async def ours() -> Sequence[float]:
        started = time.perf_counter()
        session = (await rig.agent.cell(RUN[0]))["session_id"]
        starts["ours"].append(_since(started))
        for code in RUN[1:]:
            await rig.agent.cell(code, session)
        whole = _since(started)
        await rig.agent.close(session)
        return [whole]

    async def theirs() -> Sequence[float]:
        start = await rig.peer.ask("start", code=RUN[0])
        starts["theirs"].append(start)
        whole = start + sum([await rig.peer.ask("cell", code=code) for code in RUN[1:]])
        await rig.peer.ask("stop")
        return [whole]

    warm_up = 2
    of_ours, of_theirs = await in_turn(
        ours, theirs, rounds=30, warm_up=warm_up, progress=_named(rig, "session start, ten-cell run")
    )
    first, other = tuple(starts["ours"][warm_up:]), tuple(starts["theirs"][warm_up:])
    return [
        Row("session start: new session to first result over MCP", "ms", first, PLAIN, other),
        Row("ten-cell run over MCP, session start included", "ms", of_ours, PLAIN, of_theirs),
    ]


async def cell(rig: Rig) -> list[Row]:
    session = (await rig.agent.cell(TRIVIAL))["session_id"]
    await rig.peer.ask("start", code=TRIVIAL)

    async def ours() -> Sequence[float]:
        started = time.perf_counter()
        await rig.agent.cell(TRIVIAL, session)
        return [_since(started)]

    async def theirs() -> Sequence[float]:
        return [await rig.peer.ask("cell", code=TRIVIAL)]

    samples = await in_turn(ours, theirs, rounds=200, warm_up=20, progress=_named(rig, "cell round trip"))
    await rig.agent.close(session)
    await rig.peer.ask("stop")
    return [Row("cell round trip over MCP", "ms", samples[0], PLAIN, samples[1], Bar(3.0, "ratio"))]


async def call_no_op(rig: Rig) -> list[Row]:
    """Beside what a plain kernel can do instead: ask its client through the stdin channel."""
    await rig.peer.ask("start", code=TRIVIAL)

    async def theirs() -> Sequence[float]:
        times: list[float] = await rig.peer.ask("calls", count=CALLS)
        return times

    name = "in-cell call to an in-process no-op upstream"
    samples = await _calls(rig, rig.no_op, theirs, "in-cell call, no-op")
    await rig.peer.ask("stop")
    return [Row(name, "ms", samples[0], "input() in plain ipykernel", samples[1], Bar(2.0, "value"))]


async def call_http(rig: Rig) -> list[Row]:
    async def theirs() -> Sequence[float]:
        return await rig.direct.calls(CALLS)

    samples = await _calls(rig, rig.agent, theirs, "in-cell call, HTTP")
    name = "in-cell call over HTTP to the reference server"
    return [Row(name, "ms", samples[0], "the same call from the host", samples[1])]


FIGURES: dict[str, Figure] = {"run": run, "cell": cell, "call-no-op": call_no_op, "call-http": call_http}


async def _calls(
    rig: Rig, agent: Agent, theirs: Callable[[], Awaitable[Sequence[float]]], name: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Four cells of fifty calls, timed inside the cell, in turn with as many of `theirs`."""
    session = (await agent.cell(TRIVIAL))["session_id"]
    made = 0

    async def ours() -> Sequence[float]:
        nonlocal made
        result = await agent.cell(CALL, session)
        made += [call["status"] for call in result["calls"]].count("ok")
        times: list[float] = json.loads(result["stdout"])
        return times

    samples = await in_turn(ours, theirs, rounds=4, warm_up=1, progress=_named(rig, name))
    if not made == await agent.journalled(session, "operation_called") == 5 * CALLS:
        raise RuntimeError(f"{name}: not every call went through the broker and into the journal")
    await agent.close(session)
    return samples


def _named(rig: Rig, name: str) -> Callable[[int, int], None]:
    return lambda done, total: rig.progress.count(name, done, total)


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
