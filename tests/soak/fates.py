"""How a session, its kernel or its client can end. Each takes the session as far as it goes."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.bench.lean import LeanAgent
from tests.bench.processes import below, without_children

BUSY = "import time\nprint('busy')\ntime.sleep(60)"
CELL = "numbers = [1, 2, 3]; sum(numbers)"


@dataclass(frozen=True, slots=True)
class Lived:
    """A session that has answered its first cell, and whoever watches over it. `answers` counts what callers got."""

    agent: LeanAgent
    session: str
    gateway: int
    chance: random.Random
    answers: Counter[str]

    async def cell(self, code: str) -> None:
        answer = await self.agent.execute(code, self.session)
        self.answers[str(answer.get("code") or answer.get("status") or answer)] += 1

    async def close(self) -> None:
        await self.agent.close(self.session)

    def kill(self, *, kernels: bool) -> None:
        """Any kernel of the gateway, or anything that holds kernels: a template, the init of a sandbox."""
        processes = below(self.gateway)
        leaves = without_children(processes)
        victims = leaves if kernels else [process for process in processes if process not in leaves]
        if victims:
            self.chance.choice(victims).kill()


async def closed(lived: Lived) -> None:
    await lived.cell(CELL)
    await lived.close()


async def kernel_killed(lived: Lived) -> None:
    lived.kill(kernels=True)
    await lived.cell(CELL)
    await lived.close()


async def kernel_killed_in_a_cell(lived: Lived) -> None:
    """Somebody's: all other busy cells end when their session is closed, and this one too."""
    cell = asyncio.create_task(lived.cell(BUSY))
    await asyncio.sleep(lived.chance.random() / 20)
    lived.kill(kernels=True)
    await _closed_by_another(lived)
    await cell


async def closed_in_a_cell(lived: Lived) -> None:
    cell = asyncio.create_task(lived.cell(BUSY))
    await asyncio.sleep(lived.chance.random() / 20)
    await _closed_by_another(lived)
    await cell


async def client_gone(lived: Lived) -> None:
    """In the middle of a cell; nobody closes the session but the sweep at the end."""
    await lived.agent.send(BUSY, lived.session)
    await asyncio.sleep(lived.chance.random() / 20)
    lived.agent.leave()


async def template_killed(lived: Lived) -> None:
    lived.kill(kernels=False)
    await lived.cell(CELL)
    await lived.close()


async def _closed_by_another(lived: Lived) -> None:
    """Over a connection of its own: the first one waits for its cell."""
    async with lived.agent.another() as agent:
        await agent.close(lived.session)


FATES: dict[Callable[[Lived], Awaitable[None]], int] = {
    closed: 5,
    kernel_killed: 3,
    kernel_killed_in_a_cell: 2,
    closed_in_a_cell: 2,
    client_gone: 2,
    template_killed: 1,
}
"""By how often."""
