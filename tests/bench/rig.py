"""Everything the figures measure on, started together: two gateways, the peer, and a caller without a gateway."""

import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from kernel_gateway.reference.world import image_ops_catalog
from tests.bench.agent import Agent, connected
from tests.bench.child import Child, child
from tests.bench.environments import BENCH, python_of
from tests.bench.progress import Progress

DIRECT_ORGANISATION = "direct"  # its own quota of requests, so that neither side uses up the other's


class Direct:
    """Calls the reference server itself, over one connection that stays open."""

    def __init__(self, http: httpx2.AsyncClient, url: str, token: str) -> None:
        self._http, self._url, self._headers = http, url, {"Authorization": f"Bearer {token}"}

    async def calls(self, count: int) -> list[float]:
        operation = image_ops_catalog().get("image_ops:quota_get")
        assert operation is not None
        times = []
        for _ in range(count):
            started = time.perf_counter()
            response = await self._http.get(self._url + operation.path, headers=self._headers)
            response.raise_for_status().json()
            times.append((time.perf_counter() - started) * 1000)
        return times


@dataclass(frozen=True, slots=True)
class Rig:
    """`agent` and `direct` reach the same reference server; `no_op` is a gateway whose upstream does nothing."""

    agent: Agent
    no_op: Agent
    direct: Direct
    peer: Child
    progress: Progress


@asynccontextmanager
async def rig(progress: Progress) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        python = python_of("peer", progress)
        progress.say("starting the gateways and the peer ...")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kg-bench-")))
        _, invitation = await stack.enter_async_context(gateway(folder / "world"))
        _, other = await stack.enter_async_context(gateway(folder / "no-op", "--no-op"))
        agent = await stack.enter_async_context(connected(invitation["url"], invitation["token"]))
        no_op = await stack.enter_async_context(connected(other["url"], other["token"]))
        http = await stack.enter_async_context(httpx2.AsyncClient())
        direct = Direct(http, invitation["image_ops_url"], await _token(http, invitation))
        peer = await stack.enter_async_context(peer_in(python, folder))
        yield Rig(agent, no_op, direct, peer, progress)


@asynccontextmanager
async def gateway(folder: Path, *options: str) -> AsyncIterator[tuple[Child, dict[str, Any]]]:
    """A gateway in its own process, and how to come in."""
    command = (sys.executable, "-m", "tests.bench.service", str(folder), *options)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KG_")}
    async with child("the gateway", *command, environment=environment) as service:
        yield service, await service.answer()


@asynccontextmanager
async def peer_in(python: Path, folder: Path) -> AsyncIterator[Child]:
    """Plain ipykernel, without this user's configuration and history."""
    own = ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR")
    environment = {**os.environ, **{name: str(folder / name.lower()) for name in own}}
    async with child("the peer", str(python), str(BENCH / "peer.py"), environment=environment) as peer:
        yield peer


async def _token(http: httpx2.AsyncClient, invitation: dict[str, Any]) -> str:
    form = {
        "grant_type": "client_credentials",
        "scope": "image.quota.read",
        "resource": invitation["image_ops_url"],
        "organisation": DIRECT_ORGANISATION,
    }
    credential = httpx2.BasicAuth(invitation["client_id"], invitation["client_secret"])
    response = await http.post(invitation["token_url"], data=form, auth=credential)
    token: str = response.raise_for_status().json()["access_token"]
    return token
