"""Sessions with random ends against a gateway in a process of its own, then what is left of them."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.bench.child import Child
from tests.bench.lean import lean
from tests.bench.progress import Progress
from tests.bench.rig import gateway
from tests.soak.census import Census, adopting, census, left, private_folder
from tests.soak.fates import CELL, FATES, Lived

SETTINGS = {"kernels": {"start_seconds": 5.0}}  # what a start waits that was killed half-way
AT_ONCE = 6
WARM_UP = 12
POLL_SECONDS = 0.1
STEADY_POLLS = 30  # longer than a template takes to start: a gateway unchanged for so long has filled its pool
GIVE_UP_POLLS = 300  # what is still there after half a minute is left over


@dataclass(frozen=True, slots=True)
class Soak:
    """`left` by kind; the others say what the sessions met, what their callers were told, and the gateway its host."""

    sessions: int
    left: dict[str, int]
    fates: Counter[str]
    answers: Counter[str]
    log: Counter[str]


class Soaking:
    def __init__(self, service: Child, invitation: dict[str, str], folder: Path, seed: int) -> None:
        self._service, self._invitation, self._folder, self._seed = service, invitation, folder, seed
        self.fates, self.answers = Counter[str](), Counter[str]()

    async def sessions(self, first: int, count: int, progress: Progress) -> None:
        """A few at once; between one handful and the next all that is still open is closed."""
        for number in range(first, first + count, AT_ONCE):
            progress.count("sessions with random ends", number - first, count)
            numbers = range(number, min(number + AT_ONCE, first + count))
            await asyncio.gather(*(self._session(each) for each in numbers))
            async with lean(self._invitation["url"], self._invitation["token"]) as agent:
                for session in await agent.sessions():
                    await agent.close(session)

    async def _session(self, number: int) -> None:
        chance = random.Random(f"{self._seed}/{number}")
        (fate,) = chance.choices(list(FATES), FATES.values())
        self.fates[fate.__name__] += 1
        async with lean(self._invitation["url"], self._invitation["token"]) as agent:
            answer = await agent.execute(CELL)
            self.answers[str(answer.get("code") or answer.get("status") or answer)] += 1
            if session := answer.get("session_id"):
                await fate(Lived(agent, session, self._service.pid, chance, self.answers))

    async def count(self) -> Census:
        tasks = await self._service.ask("tasks")
        return {**census(self._service.pid, self._folder), "tasks": len(tasks)}

    async def steady(self) -> Census:
        """Once nothing changes any more."""
        seen, same = await self.count(), 0
        for _ in range(GIVE_UP_POLLS):
            if same >= STEADY_POLLS:
                break
            await asyncio.sleep(POLL_SECONDS)
            now = await self.count()
            seen, same = now, same + 1 if now == seen else 0
        return seen

    async def gone(self, before: Census) -> dict[str, int]:
        """What is left over; given time to go."""
        for _ in range(GIVE_UP_POLLS):
            if not any(left(before, await self.count()).values()):
                break
            await asyncio.sleep(POLL_SECONDS)
        return left(before, await self.steady())


async def soak(sessions: int, seed: int, progress: Progress) -> Soak:
    """The same seed gives the same ends to the same sessions; the machine gives them their order."""
    with private_folder() as name, adopting():
        folder = Path(name)
        (folder / "tmp").mkdir()
        environment = {"TMPDIR": str(folder / "tmp")}
        options = ("--settings", json.dumps(SETTINGS))
        log = folder / "log"
        async with gateway(folder / "state", *options, environment=environment, log=log) as (service, invitation):
            soaking = Soaking(service, invitation, folder, seed)
            await soaking.sessions(-WARM_UP, WARM_UP, progress)
            before = await soaking.steady()
            soaking.fates.clear()
            soaking.answers.clear()
            await soaking.sessions(0, sessions, progress)
            progress.say("waiting for what is left to go ...")
            left_over = await soaking.gone(before)
        return Soak(sessions, left_over, soaking.fates, soaking.answers, Counter(log.read_text().splitlines()))
