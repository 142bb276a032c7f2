"""Where the time of one trivial cell over MCP goes: a time line over client, gateway and kernel, then the processor's.

The time line is the truth about waiting; the profiler slows Python calls down, so its figures are shares, not times.
"""

import asyncio
import cProfile
import inspect
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench import libraries
from tests.bench.agent import Agent, connected
from tests.bench.child import Child
from tests.bench.environments import python_of
from tests.bench.figures.cells import TRIVIAL
from tests.bench.marks import IN_THE_KERNEL, KERNEL_IN, KERNEL_OUT, TOOL_IN, TOOL_OUT
from tests.bench.measurement import percentile_95
from tests.bench.progress import Progress
from tests.bench.rig import gateway, peer_in

CELLS = 100
_WARM_UP = 20
_LIBRARIES = 10
_ASKED, _SENT, _ANSWERED = "client: call_tool", "client: request sent", "client: result parsed"

# The profiler goes on after the cell that turned it on: it sees how the kernel handles the cells that follow.
_PROFILE = "import cProfile\n_profile = cProfile.Profile()\n_profile.enable()"
_PROFILED = f"_profile.disable()\n{inspect.getsource(libraries)}\nimport json\nprint(json.dumps(by_library(_profile)))"

Moments = Mapping[str, float]
"""Milliseconds since the beginning, by what happened."""


async def run(cells: int) -> int:
    progress = Progress()
    with tempfile.TemporaryDirectory(prefix="kg-bench-") as folder:
        plain = await _plain(Path(folder), cells, progress)
        async with gateway(Path(folder) / "state") as (service, invitation):
            sent: list[float] = []

            async def on_request(_: object) -> None:
                sent.append(time.perf_counter())

            async with connected(invitation["url"], invitation["token"], request=[on_request]) as agent:
                session = (await agent.cell(TRIVIAL))["session_id"]
                progress.say("profiling the client, the gateway and the kernel ...")
                whole = [await _timed(agent, session) for _ in range(_WARM_UP + cells)][_WARM_UP:]
                processor = await _processor(agent, session, service, cells)
                await service.ask("mark")
                runs = []
                for done in range(cells):
                    progress.count("marked cells", done, cells)
                    sent.clear()
                    runs.append(await _marked(agent, session, service, sent))
    progress.clear()
    print(f"one cell over MCP, unobserved: median {statistics.median(whole):.2f} ms, p95 {percentile_95(whole):.2f}\n")
    at = _medians(runs)
    _show_time_line(at)
    _show_kernels(at, _medians(plain))
    for name, spent in processor.items():
        _show_processor(name, spent, cells)
    return 0


async def _plain(folder: Path, cells: int, progress: Progress) -> list[Moments]:
    """The same cell in plain ipykernel."""
    python = await asyncio.to_thread(python_of, "peer", progress)
    async with peer_in(python, folder) as peer:
        await peer.ask("start", code=TRIVIAL)
        runs = [await peer.ask("moments", code=TRIVIAL) for _ in range(_WARM_UP + cells)]
        await peer.ask("stop")
    return runs[_WARM_UP:]


async def _timed(agent: Agent, session: str) -> float:
    started = time.perf_counter()
    await agent.cell(TRIVIAL, session)
    return (time.perf_counter() - started) * 1000


async def _marked(agent: Agent, session: str, service: Child, sent: list[float]) -> Moments:
    started = time.perf_counter()
    await agent.cell(TRIVIAL, session)
    answered = time.perf_counter()
    # What belongs to the cell before may still have been marked after it was answered.
    marks = [(what, at) for what, at in await service.ask("marks") if at >= started]
    marks += [(_ASKED, started), (_SENT, sent[0]), (_ANSWERED, answered)]
    return {what: (at - started) * 1000 for what, at in reversed(marks)}


async def _processor(agent: Agent, session: str, service: Child, cells: int) -> dict[str, Mapping[str, Any]]:
    """What the profiler says of each process, one at a time."""
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(cells):
        await agent.cell(TRIVIAL, session)
    profile.disable()
    await service.ask("profile")
    for _ in range(cells):
        await agent.cell(TRIVIAL, session)
    of_gateway = await service.ask("profiled")
    await agent.cell(_PROFILE, session)
    for _ in range(cells):
        await agent.cell(TRIVIAL, session)
    of_kernel = json.loads((await agent.cell(_PROFILED, session))["stdout"])
    return {
        "client": libraries.by_library(profile),
        "gateway, event loop": of_gateway,
        "kernel, main thread": of_kernel,
    }


def _medians(runs: Sequence[Moments]) -> Moments:
    """Of what happened in most of the runs."""
    gathered = defaultdict[str, list[float]](list)
    for each in runs:
        for what, at in each.items():
            gathered[what].append(at)
    return {what: statistics.median(times) for what, times in gathered.items() if len(times) > len(runs) / 2}


def _show_time_line(at: Moments) -> None:
    before = 0.0
    print("    ms      +ms  what has happened")
    for what in sorted(at, key=at.__getitem__):
        print(f"{at[what]:6.2f}  {at[what] - before:7.2f}  {what}")
        before = at[what]
    whole = at[_ANSWERED]
    shares = {
        "MCP client, HTTP, authentication, MCP server": at[TOOL_IN] + whole - at[TOOL_OUT],
        "gateway, session, journal": at[KERNEL_IN] - at[TOOL_IN] + at[TOOL_OUT] - at[KERNEL_OUT],
        "kernel, from our request to its idle": at[KERNEL_OUT] - at[KERNEL_IN],
    }
    print()
    for name, milliseconds in shares.items():
        print(f"{milliseconds:6.2f} ms  {milliseconds / whole:4.0%}  {name}")


def _show_kernels(at: Moments, plain: Moments) -> None:
    """Our kernel beside a plain one, since the request was sent."""
    print("\n  ours   plain  ms since the execute_request")
    for what, theirs in sorted(plain.items(), key=lambda each: each[1]):
        ours = at.get(IN_THE_KERNEL + what, at[KERNEL_OUT]) - at[KERNEL_IN]
        print(f"{ours:6.2f}  {theirs:6.2f}  {what}")


def _show_processor(name: str, spent: Mapping[str, Any], cells: int) -> None:
    whole = sum(spent["libraries"].values())
    print(f"\nprocessor time of the {name}, a cell, under the profiler: {whole / cells:.2f} ms")
    for library, milliseconds in list(spent["libraries"].items())[:_LIBRARIES]:
        print(f"{milliseconds / cells:6.2f} ms  {milliseconds / whole:4.0%}  {library}")
    for wait, milliseconds in spent["waits"].items():
        print(f"{milliseconds / cells:6.2f} ms  waited in {wait}")
    print("most in one function:")
    for where, calls, milliseconds in spent["functions"]:
        print(f"{milliseconds / cells:6.2f} ms  {calls / cells:6.1f} calls  {where}")
