"""Nothing that was acknowledged is lost or done twice, whenever the kernel or the gateway is killed."""

import asyncio
import os
import random
import signal

import pytest

from kernel_gateway.kernels import keeping as chunks
from kernel_gateway.sessions.result import ExecuteRequest
from tests.conftest import until

KILLS_OF_KERNELS = 200
ROUND = 10  # kills of one session: each round has another


class Points:
    """The named moments of a cell's life at which its kernel is killed."""

    names = (
        "while the cell runs",
        "0 to 50 ms after the reply",
        "when the save is asked for",
        "when its chunks are there",
        "before the commit",
        "after the commit, before the ledger has it",
        "after the ledger has it",
    )

    def __init__(self, session, chance):
        self.session, self.chance = session, chance
        self.killed = False

    def kill(self):
        if not self.killed:
            self.killed = True
            os.kill(self.session.seat.kernel._process.pid, signal.SIGKILL)

    def arm(self, name, monkeypatch):
        """Kills there, the next time that it comes to it."""
        saving, keeping = self.session.saving, self.session.seat.kernel._bridge.keeping
        checkpoints = saving._durable.checkpoints
        if name == "when the save is asked for":
            monkeypatch.setattr(keeping, "_send", _before(keeping._send, self.kill))
        elif name == "when its chunks are there":
            monkeypatch.setattr(chunks, "_cut", _before(chunks._cut, self.kill))
        elif name == "before the commit":
            monkeypatch.setattr(checkpoints, "commit", _before(checkpoints.commit, self.kill))
        elif name == "after the commit, before the ledger has it":
            monkeypatch.setattr(saving, "_record", _before(saving._record, self.kill))
        elif name == "after the ledger has it":
            monkeypatch.setattr(saving, "_flush", _after(saving._flush, self.kill))


def _before(call, first):
    def both(*given):
        first()
        return call(*given)

    return both


def _after(call, then):
    async def both(*given):
        await call(*given)
        then()

    return both


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(KILLS_OF_KERNELS // 40))
async def test_whenever_a_kernel_is_killed_every_acknowledged_cell_counts_once(gateway_settings, world_and_app, seed):
    _, app = await world_and_app(gateway_settings())
    chance, me = random.Random(seed), app.stdio_principal()
    seen = dict.fromkeys(Points.names, 0)
    for _ in range(40 // ROUND):
        opened = await app.gateway.execute(me, ExecuteRequest("log = []; alias = log"))
        session = next(each for each in app.gateway.live() if each.id == opened.session_id)
        done = []
        for number in range(ROUND):
            name = Points.names[(seed * 40 + sum(seen.values())) % len(Points.names)]
            seen[name] += 1
            done += await _killed_at(name, app, session, number, chance)
            read = await app.gateway.execute(me, ExecuteRequest("alias is log, log", session.id))
            assert (read.status, read.result, read.lost) == ("ok", f"(True, {done})", ()), name
        await app.gateway.close_session(me, session.id)
    assert min(seen.values()) >= 5


async def _killed_at(name, app, session, number, chance):
    """Runs a cell that writes `number` down, with its kernel killed at this point. The numbers it counts for."""
    me, points = app.stdio_principal(), Points(session, chance)
    with pytest.MonkeyPatch.context() as patched:
        if name == "while the cell runs":
            code = f"log.append({number})\nimport time\ntime.sleep(60)"
            running = asyncio.create_task(app.gateway.execute(me, ExecuteRequest(code, session.id)))
            await until(lambda: session.seat._cell)
            await asyncio.sleep(chance.uniform(0, 0.02))
            points.kill()
            assert (await running).status == "lost"
            return []
        if session.seat.kernel is None or session.seat.kernel.died.done():
            await app.gateway.execute(me, ExecuteRequest("None", session.id))
        points.arm(name, patched)
        told = await app.gateway.execute(me, ExecuteRequest(f"log.append({number})", session.id))
        assert told.status == "ok"
        if name == "0 to 50 ms after the reply":
            await asyncio.sleep(chance.uniform(0, 0.05))
            points.kill()
        await until(lambda: points.killed)
        await until(lambda: session.seat.kernel is None or session.seat.kernel.died.done())
        return [number]
