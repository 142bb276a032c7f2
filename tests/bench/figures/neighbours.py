"""What a kernel's cells feel of another kernel that dies of what it takes: memory, tasks, processor time."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kernel_ext.wire import Message
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.launchers import Launcher
from kernel_gateway.kernels.shares import Shares
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.sandbox.cgroups import Cgroups
from kernel_gateway.settings import Settings
from tests.bench.measurement import Bar, Row, UnmeasurableError, in_turn, since
from tests.bench.rig import Rig

TRIVIAL = "1 + 1"
QUIET = "import time; time.sleep(1.0)"
MEMORY = """
held = []
while True:
    held.append(b"x" * (16 << 20))
"""
THREADS = """
import threading
while True:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
PROCESSOR = """
while True:
    pass
"""
FILES = """
block = bytes(1 << 20)
while True:
    with open("filler", "wb") as file:
        for _ in range(200):
            file.write(block)
"""
BOMBS = {
    "another kernel's cell while a bomb dies: memory": MEMORY,
    "another kernel's cell while a bomb dies: threads": THREADS,
    "another kernel's cell while a bomb dies: processor": PROCESSOR,
    "another kernel's cell while a bomb dies: files": FILES,
}
BOMB_SECONDS = 1.5
PAUSE_SECONDS = 0.01
ROUNDS = 3


async def neighbours(rig: Rig) -> list[Row]:
    """Kernels in this process, on a gateway's own terms: a victim's cells while another one runs a bomb, or sleeps."""
    if not Cgroups.find().hierarchies:
        raise UnmeasurableError("this host lets nobody make cgroups; delegate a subtree of them")
    settings = Settings()
    launcher, shares = kernel_launcher(settings), Shares(settings.kernels)
    rows = []
    try:
        async with _claimed(launcher, settings, shares) as victim:

            async def beside(code: str) -> list[float]:
                async with _claimed(launcher, settings, shares) as other:
                    return await _while_it_runs(victim, other, code)

            for figure, bomb in BOMBS.items():
                ours, theirs = await in_turn(
                    lambda bomb=bomb: beside(bomb),  # type: ignore[misc]
                    lambda: beside(QUIET),
                    rounds=rig.rounds(ROUNDS),
                    warm_up=1,
                    progress=rig.counting(figure),
                )
                rows.append(Row(figure, "ms", ours, "the same beside a kernel that sleeps", theirs, Bar(2.0, "ratio")))
    finally:
        await launcher.close()
    return rows


async def _while_it_runs(victim: Kernel, other: Kernel, code: str) -> list[float]:
    """Milliseconds of each of the victim's cells, a few dozen a second, until the other's one has ended."""
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(other.run(code, BOMB_SECONDS, never))
    taken = []
    while not running.done():
        started = time.perf_counter()
        outcome = await victim.run(TRIVIAL, 30.0, never)
        taken.append(since(started))
        if outcome.status != "ok":
            raise RuntimeError(f"the victim's cell ended as {outcome.status}: {outcome.cause}")
        await asyncio.sleep(PAUSE_SECONDS)
    await running
    return taken


@asynccontextmanager
async def _claimed(launcher: Launcher, settings: Settings, shares: Shares) -> AsyncIterator[Kernel]:
    kernel = await Kernel.start(launcher, settings.kernels, shares)
    try:
        await kernel.claim({"version": 1, "servers": {}}, _answer, 1)
        yield kernel
    finally:
        await kernel.stop()


async def _answer(message: Message) -> Message:
    raise AssertionError("no cell of this bench calls anything")
