"""The gateway in a process of its own, with the reference world inside, as `kernel-gateway demo` has it.

`python -m tests.bench.service FOLDER [--no-op] [--settings JSON]`. With `--no-op` the world only issues tokens, and
every call to an upstream is answered at once in this process. The settings are whole sections beside those set here.
"""

import argparse
import asyncio
import cProfile
import json
import logging
import sys
import warnings
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from catalog import Operation
from kernel_gateway import app
from kernel_gateway.commands import AGENT_SCOPES
from kernel_gateway.embedded import embedded_world
from kernel_gateway.frontends.listener import bind
from kernel_gateway.garbage import leave_out_what_stays
from kernel_gateway.reference.world import ReferenceWorldWarning, World
from kernel_gateway.upstreams.base import Asker, UpstreamAnswer
from kernel_gateway.upstreams.hosts import StorageHosts
from kernel_gateway.upstreams.settings import UpstreamSettings
from tests.bench.environments import BUILD
from tests.bench.libraries import by_library
from tests.bench.marks import Marks
from tests.bench.resting import Resting

TOKEN_SECONDS = 3600.0
# Everything is counted as for any agent, and nothing reaches its limit.
PLENTY = ["1000000/minute per token", "1000000/minute per organisation"]
MUCH = 10**9
BUDGET = {"writes": MUCH, "bytes": 10**15, "seconds": MUCH}
LIMITS = {
    "max_calls_per_cell": 100,  # a cell of the bench makes 50 calls
    "max_calls_per_session": 1_000_000,
    "rates": dict.fromkeys(("request", "execute", "search", "call"), PLENTY) | {"operation": PLENTY[:1]},
    "budgets": {"execution": {"writes": MUCH}, "session": BUDGET, "tree": BUDGET | {"calls": MUCH}},
    "quotas": dict.fromkeys(("principal", "organisation"), BUDGET | {"calls": MUCH}),
}
PATIENT_SECONDS = 60.0  # of a save: on a busy machine nothing is given up that the figures ask for
# One agent keeps 50 kernels for the figure of memory.
SESSIONS = {"max_kernels": 100, "max_kernels_per_principal": 100, "checkpoint_seconds": PATIENT_SECONDS}
ASKS_NOBODY = {"auto_approve_risk": "critical"}
QUOTA = {
    "org": "acme",
    "policies": [
        {"name": name, "unit": unit, "limit": 1000, "remaining": 988, "window_seconds": 60, "resets_at": None}
        for name, unit in (("requests", "requests"), ("bytes", "content-bytes"), ("images", "images"))
    ],
}


class NoOperation:
    """An upstream that answers as `quota_get` would, without asking anybody."""

    def __init__(self, name: str, settings: UpstreamSettings, **_: Any) -> None:
        self.name, self.host, self.storage = name, "nowhere", StorageHosts(settings.storage_hosts)

    async def call(
        self,
        operation: Operation,
        arguments: Mapping[str, Any],
        *,
        idempotency_key: str | None,
        asker: Asker,
        deadline_seconds: float,
    ) -> UpstreamAnswer:
        return UpstreamAnswer(200, QUOTA, False, 400)

    async def fetch(self, url: str, *, max_bytes: int, deadline_seconds: float) -> tuple[bytes, str]:
        return b"", ""

    async def store(self, url: str, data: bytes, *, headers: Mapping[str, str], deadline_seconds: float) -> None:
        """Takes everything."""

    async def close(self) -> None:
        """Holds nothing."""


class Control:
    """What the bench may ask of this process while it serves."""

    def __init__(self) -> None:
        self._marks, self._profile, self._resting = Marks(), cProfile.Profile(), Resting()

    def mark(self) -> None:
        """From here on the way of a cell is marked; see marks.py."""
        self._marks.install()

    def marks(self) -> list[tuple[str, float]]:
        return self._marks.take()

    def tasks(self) -> list[str]:
        """What runs on the event loop, by the names of its coroutines."""
        return sorted(getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())

    def keep_nothing(self) -> None:
        """Whose cell ends from here on is not saved for it."""
        self._resting.keep_nothing()

    def keep(self) -> None:
        self._resting.keep()

    def time_rests(self) -> None:
        """From here on the sessions that go to rest are timed."""
        self._resting.time()

    def rests(self) -> list[float]:
        return self._resting.taken()

    def profile(self) -> None:
        self._profile.enable()

    def profiled(self) -> dict[str, Any]:
        self._profile.disable()
        return by_library(self._profile)


async def serve(folder: Path, more: Mapping[str, Any], *, no_operation: bool) -> None:
    """Until standard input ends. The first line says where and how to come in."""
    if no_operation:
        app.connect = NoOperation  # type: ignore[attr-defined,assignment]  # running() takes none
    image = {"image": str(BUILD / "kernel")}
    settings = app.Settings.of(
        {
            "store": {"folder": str(folder)},
            "policy": ASKS_NOBODY,
            "sandbox": image,
            "limits": LIMITS,
            "sessions": SESSIONS,
            **more,
        }
    )
    async with AsyncExitStack() as stack:
        world, settings = await stack.enter_async_context(embedded_world(settings))
        running = await stack.enter_async_context(app.running(settings, embedded=True))
        bound = bind("127.0.0.1", 0)
        await stack.enter_async_context(running.serving(bound))
        leave_out_what_stays()
        _answer(_invitation(world, bound.port))
        control = Control()
        async for line in await _standard_input():
            question = json.loads(line)
            _answer(getattr(control, question["do"])())


def _invitation(world: World, port: int) -> dict[str, str]:
    """On a pipe to the parent alone; the world and its credentials end with this process."""
    scopes = " ".join((*AGENT_SCOPES, *(operation.scope for operation in world.catalog.operations)))
    return {
        "url": f"http://127.0.0.1:{port}",
        "token": world.mint("bench-agent", scopes, ttl_seconds=TOKEN_SECONDS),
        "image_ops_url": world.image_ops_url,
        "token_url": world.token_url,
        "client_id": world.client_id,
        "client_secret": world.client_secret,
    }


def _answer(value: Any) -> None:
    print(json.dumps(value), flush=True)


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--no-op", action="store_true")
    parser.add_argument("--settings", type=json.loads, default={}, metavar="JSON")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ReferenceWorldWarning)
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(options.folder, options.settings, no_operation=options.no_op))


if __name__ == "__main__":
    main()
