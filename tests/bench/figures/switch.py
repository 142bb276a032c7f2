"""How long the kill switch takes, from the request to the end of the last process, by the host's process table."""

import asyncio
import json
import tempfile
import time
from pathlib import Path

import httpx2

from kernel_gateway.frontends.admin_socket import reachable
from tests.bench.agent import connected
from tests.bench.measurement import Bar, Row
from tests.bench.processes import Process, below, without_children
from tests.bench.rig import Rig, gateway
from tests.bench.service import ASKS_NOBODY
from tests.stubborn import ASKS, KINDS, PAUSED, WAITING, SlowUpstream, slow_upstream, stubborn

CELLS = 50
ROUNDS = 3
_LOOK_SECONDS = 0.01
_ENDS = ("disabled", "paused")  # whoever asks hears of a pause at once, and of its end when asking again
_TIMEOUT_SECONDS = 60.0
_KERNELS = {"pool": {"ready": 0}}  # so that every kernel there is belongs to a session
_SESSIONS = {"max_kernels": CELLS, "max_kernels_per_principal": CELLS}


async def switch(rig: Rig) -> list[Row]:
    """Cells of every stubborn kind, all busy at once, on a gateway of their own."""
    cells, taken = len(KINDS) if rig.quick else CELLS, list[float]()
    with tempfile.TemporaryDirectory() as home:
        async with slow_upstream() as upstream:
            upstreams = {"image_ops": upstream.settings}
            asks = Path(home) / "asks.cedar"
            asks.write_text(ASKS)
            policy = {**ASKS_NOBODY, "files": [str(asks)]}
            settings = {"upstreams": upstreams, "kernels": _KERNELS, "sessions": _SESSIONS, "policy": policy}
            async with gateway(Path(home), "--settings", json.dumps(settings)) as (service, invitation):
                for done in range(rig.rounds(ROUNDS)):
                    rig.progress.count("kill switch", done, rig.rounds(ROUNDS))
                    async with connected(invitation["url"], invitation["token"]) as agent:
                        running = [asyncio.create_task(agent.cell(code)) for _, code in stubborn(cells)]
                        taken.append(await _switched_off(Path(home), service.pid, upstream, running))
                        upstream.released.set()
                        _check(await asyncio.gather(*running, return_exceptions=True))
                    await _put(Path(home), "on")
                    upstream.begun = upstream.waiting = 0
                    upstream.released.clear()
    note = f"the longest of {len(taken)} times; of {cells} cells: {', '.join(KINDS)}"
    name = "kill switch to the last process of busy sessions gone"
    return [Row(name, "s", (max(taken),), bar=Bar(2.0, "value"), note=note)]


async def _switched_off(
    folder: Path, gateway_pid: int, upstream: SlowUpstream, running: list[asyncio.Task[object]]
) -> float:
    """Seconds from the request until no kernel is left."""
    cells = len(running)
    waiting = sum(kind in WAITING for kind, _ in stubborn(cells))
    paused = sum(kind == PAUSED for kind, _ in stubborn(cells))  # these are told so at once
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        while not (
            upstream.begun == cells and upstream.waiting == waiting and sum(each.done() for each in running) == paused
        ):
            await asyncio.sleep(_LOOK_SECONDS)
        busy = [process for process in without_children(below(gateway_pid)) if not process.is_zombie]
        if len(busy) < cells:
            raise RuntimeError(f"{cells} busy cells, and only {len(busy)} processes")
        started = time.perf_counter()
        switching = asyncio.create_task(_put(folder, "off"))
        while any(_is_there(process) for process in busy):
            await asyncio.sleep(_LOOK_SECONDS)
        taken = time.perf_counter() - started
        await switching
    return taken


def _is_there(process: Process) -> bool:
    now = Process.read(process.pid)
    return now is not None and now.parent == process.parent


async def _put(folder: Path, state: str) -> None:
    with reachable(folder) as short:
        transport = httpx2.AsyncHTTPTransport(uds=str(short / "admin.sock"))
        async with httpx2.AsyncClient(transport=transport, base_url="http://admin", timeout=_TIMEOUT_SECONDS) as http:
            (await http.put("/v1/switch", json={"execute": state})).raise_for_status()


def _check(answers: list[object]) -> None:
    wrong = [answer for answer in answers if not any(f"'status': '{each}'" in str(answer) for each in _ENDS)]
    if wrong:
        raise RuntimeError(f"a cell that was switched off ended otherwise: {wrong[0]}")
