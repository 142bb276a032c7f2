"""Calls from inside a cell, timed there: to an upstream that does nothing, and over HTTP to the reference server."""

import json
from collections.abc import Awaitable, Callable, Sequence

from tests.bench.agent import Agent
from tests.bench.figures.cells import TRIVIAL
from tests.bench.measurement import Bar, Row, in_turn
from tests.bench.rig import Rig

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


async def call_no_op(rig: Rig) -> list[Row]:
    """Beside what a plain kernel can do instead: ask its client through the stdin channel."""
    await rig.plain.ask("start", code=TRIVIAL)

    async def theirs() -> Sequence[float]:
        times: list[float] = await rig.plain.ask("calls", count=CALLS)
        return times

    name = "in-cell call to an in-process no-op upstream"
    samples = await _calls(rig, rig.no_op, theirs, "in-cell call, no-op")
    await rig.plain.ask("stop")
    return [Row(name, "ms", samples[0], "input() in plain ipykernel", samples[1], Bar(1.0, "value"))]


async def call_http(rig: Rig) -> list[Row]:
    async def theirs() -> Sequence[float]:
        return await rig.direct.calls(CALLS)

    samples = await _calls(rig, rig.agent, theirs, "in-cell call, HTTP")
    name = "in-cell call over HTTP to the reference server"
    return [Row(name, "ms", samples[0], "the same call from the host", samples[1])]


async def _calls(
    rig: Rig, agent: Agent, theirs: Callable[[], Awaitable[Sequence[float]]], name: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Four cells of fifty calls, timed inside the cell, in turn with as many of `theirs`."""
    session = (await agent.cell(TRIVIAL))["session_id"]
    rounds, warm_up, made = rig.rounds(4), 1, 0

    async def ours() -> Sequence[float]:
        nonlocal made
        result = await agent.cell(CALL, session)
        made += [call["status"] for call in result["calls"]].count("ok")
        times: list[float] = json.loads(result["stdout"])
        return times

    samples = await in_turn(ours, theirs, rounds=rounds, warm_up=warm_up, progress=rig.counting(name))
    if not made == await agent.journalled(session, "operation_called") == (rounds + warm_up) * CALLS:
        raise RuntimeError(f"{name}: not every call went through the broker and into the journal")
    await agent.close(session)
    return samples
