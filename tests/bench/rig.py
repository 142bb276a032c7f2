"""Everything the figures measure on, started together: gateways, a launcher alone, the peers, and who calls them."""

import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from kernel_gateway.reference.world import image_ops_catalog
from tests.bench.agent import Agent, connected
from tests.bench.child import Child, child
from tests.bench.environments import BENCH, python_of
from tests.bench.lean import LeanAgent, lean
from tests.bench.measurement import since
from tests.bench.progress import Progress

_QUICK_ROUNDS = 2
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
            times.append(since(started))
        return times


@dataclass(frozen=True, slots=True)
class Rig:
    """`agent`, `lean` and `direct` reach the reference server of `service`; the upstream of `no_op` does nothing."""

    agent: Agent
    lean: LeanAgent
    service: Child
    no_op: Agent
    direct: Direct
    launching: Child
    plain: Child
    jkg: Child
    progress: Progress
    quick: bool

    def rounds(self, number: int) -> int:
        """That many, or in a quick run, which judges nothing, just enough to see that everything runs."""
        return min(number, _QUICK_ROUNDS) if self.quick else number

    def counting(self, name: str) -> Callable[[int, int], None]:
        return lambda done, total: self.progress.count(name, done, total)


@asynccontextmanager
async def rig(progress: Progress, *, quick: bool) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        plain_python, jkg_python = python_of("peer", progress), python_of("jkg", progress)
        progress.say("starting the gateways and the peers ...")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kg-bench-")))
        service, invitation = await stack.enter_async_context(gateway(folder / "world"))
        _, other = await stack.enter_async_context(gateway(folder / "no-op", "--no-op"))
        agent = await stack.enter_async_context(connected(invitation["url"], invitation["token"]))
        no_op = await stack.enter_async_context(connected(other["url"], other["token"]))
        lean_agent = await stack.enter_async_context(lean(invitation["url"], invitation["token"]))
        http = await stack.enter_async_context(httpx2.AsyncClient())
        direct = Direct(http, invitation["image_ops_url"], await _token(http, invitation))
        command = (sys.executable, "-m", "tests.bench.launching")
        launching = await stack.enter_async_context(child("the launcher", *command, environment=_own()))
        plain = await stack.enter_async_context(peer_in(plain_python, folder))
        jkg = await stack.enter_async_context(peer_in(jkg_python, folder, "jkg.py"))
        yield Rig(agent, lean_agent, service, no_op, direct, launching, plain, jkg, progress, quick)


@asynccontextmanager
async def gateway(
    folder: Path, *options: str, environment: Mapping[str, str] = {}, log: Path | None = None
) -> AsyncIterator[tuple[Child, dict[str, Any]]]:
    """A gateway in its own process, and how to come in."""
    command = (sys.executable, "-m", "tests.bench.service", str(folder), *options)
    async with child("the gateway", *command, environment={**_own(), **environment}, log=log) as service:
        yield service, await service.answer()


@asynccontextmanager
async def peer_in(python: Path, folder: Path, script: str = "peer.py") -> AsyncIterator[Child]:
    """A peer's driver, without this user's configuration and history, and without sight of our packages.

    jupyter-kernel-gateway has our import name.
    """
    own = ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR")
    environment = {**_own(), **{name: str(folder / name.lower()) for name in own}}
    environment.pop("PYTHONPATH", None)
    async with child(f"the peer of {script}", str(python), str(BENCH / script), environment=environment) as peer:
        yield peer


def _own() -> dict[str, str]:
    """Our environment without settings: ours and jupyter-kernel-gateway's begin alike."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KG_")}


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
