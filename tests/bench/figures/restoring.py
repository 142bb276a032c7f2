"""How long it takes until a session that hibernates answers, and a fork does."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.bench.agent import Agent, connected
from tests.bench.child import Child
from tests.bench.environments import BUILD
from tests.bench.measurement import Bar, Row, since
from tests.bench.rig import Rig, gateway
from tests.bench.service import PATIENT_SECONDS
from tests.bench.states import TINY, UNPICKLING, State, arrays, dumped, objects, unpickled

PACKAGES = BUILD / "kernel" / "site-packages"
RESTORES: dict[str, tuple[State, Bar | None]] = {
    "restore: a few small variables": (TINY, Bar(40.0, "value")),
    "restore: 10 MB of arrays": (arrays(10), None),
    "restore: 100 MB of arrays": (arrays(100), Bar(1.5, "ratio")),
    "restore: 100 MB of small objects": (objects(100), None),
}
FORKS = {
    "fork: 100 MB of arrays": (arrays(100), Bar(60.0, "value")),
    "fork: 100 MB of small objects": (objects(100), Bar(0.5, "ratio")),
}
NOTE = (
    "by the official MCP client, into a kernel that is ready, from the next request to its answer; theirs from a file"
)
FORK_NOTE = "`execute` with `fork_from_cell`, from the request to the answer of its cell, into a kernel that is ready"
ROUNDS = 4
RESTS = {"sessions": {"idle_seconds": 0.3, "reap_interval_seconds": 0.1, "checkpoint_seconds": PATIENT_SECONDS}}
POOL_SECONDS = 0.3  # a kernel that was taken from the ready ones has its successor
_LOOK_SECONDS = 0.02
_PATIENCE_SECONDS = 60.0


async def restore(rig: Rig) -> list[Row]:
    """From the request of the next cell to its answer, which shows the state; on a gateway where sessions rest soon."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        async with resting(Path(folder)) as (_, agent):
            for name, (state, bar) in RESTORES.items():
                ours, theirs = await _restored(rig, agent, name, state, Path(folder) / "pickle")
                rows.append(Row(name, "ms", ours, UNPICKLING, theirs, bar, "" if rows else NOTE))
    return rows


async def fork(rig: Rig) -> list[Row]:
    """One request: `execute` with `fork_from_cell`, whose cell shows the state. The parent's kernel lives."""
    rows = []
    for name, (state, bar) in FORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = await _forked(rig, name, state, Path(folder) / "pickle")
        rows.append(Row(name, "ms", ours, UNPICKLING, theirs, bar, "" if rows else FORK_NOTE))
    return rows


@asynccontextmanager
async def resting(folder: Path) -> AsyncIterator[tuple[Child, Agent]]:
    async with (
        gateway(folder / "state", "--settings", json.dumps(RESTS)) as (service, invitation),
        connected(invitation["url"], invitation["token"]) as agent,
    ):
        yield service, agent


async def at_rest(agent: Agent, session_id: str) -> None:
    await _until(agent, session_id, lambda session: session["state"] == "hibernated")


async def committed(agent: Agent, session_id: str) -> None:
    await _until(agent, session_id, lambda session: session["committed"] == session["cells"])


async def _restored(
    rig: Rig, agent: Agent, name: str, state: State, file: Path
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The same session each time: it goes to rest again between."""
    await dumped(state, file, PACKAGES)
    session = (await agent.cell(state.made))["session_id"]
    shown = (await agent.cell(state.look, session))["result"]
    ours, theirs = list[float](), list[float]()
    for done in range(rig.rounds(ROUNDS)):
        rig.progress.count(name, done, ROUNDS)
        await at_rest(agent, session)
        theirs.append(await unpickled(file, PACKAGES))
        started = time.perf_counter()
        answer = await agent.cell(state.look, session)
        ours.append(since(started))
        if answer["result"] != shown or not answer["state"].get("restored") or answer["state"].get("lost"):
            raise RuntimeError(f"a session came back otherwise: {answer}")
    await agent.close(session)
    return tuple(ours), tuple(theirs)


async def _forked(rig: Rig, name: str, state: State, file: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    await dumped(state, file, PACKAGES)
    parent = (await rig.agent.cell(state.made))["session_id"]
    shown = (await rig.agent.cell(state.look, parent))["result"]
    await committed(rig.agent, parent)
    ours, theirs = list[float](), list[float]()
    for done in range(rig.rounds(ROUNDS)):
        rig.progress.count(name, done, ROUNDS)
        theirs.append(await unpickled(file, PACKAGES))
        await asyncio.sleep(POOL_SECONDS)
        started = time.perf_counter()
        answer = await rig.agent.cell(state.look, parent, fork_from_cell=2)
        ours.append(since(started))
        if answer["result"] != shown or answer["session_id"] == parent or answer["state"].get("lost"):
            raise RuntimeError(f"a fork is not what its parent was: {answer}")
        await rig.agent.close(answer["session_id"])
    await rig.agent.close(parent)
    return tuple(ours), tuple(theirs)


async def _until(agent: Agent, session_id: str, holds: Callable[[dict[str, Any]], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not holds(await agent.session(session_id)):
            await asyncio.sleep(_LOOK_SECONDS)
