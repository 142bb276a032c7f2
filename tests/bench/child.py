"""A process that is asked in JSON lines on its standard input and answers on its standard output."""

import asyncio
import contextlib
import json
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

_MAX_LINE_BYTES = 16 * 1024 * 1024
_ANSWER_SECONDS = 120.0  # the longest answer, a hundred kernels of a slow launcher, takes a minute
_STOP_SECONDS = 20.0  # closing a gateway kills its kernels first

ROOT = Path(__file__).parents[2]


class Child:
    """Answers one question at a time. It ends when its standard input does."""

    def __init__(self, name: str, process: Process) -> None:
        self._name, self._process = name, process

    def __repr__(self) -> str:
        return f"<Child {self._name} pid={self._process.pid}>"

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, what: str, **details: Any) -> Any:
        """Raises RuntimeError where the process has ended instead, TimeoutError where it is stuck."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **details}).encode() + b"\n")
        return await self.answer()

    async def answer(self) -> Any:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _ANSWER_SECONDS)
        if not line:
            raise RuntimeError(f"{self._name} ended early, with status {await self._process.wait()}")
        return json.loads(line)

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def child(
    name: str, *command: str, environment: Mapping[str, str] = os.environ, log: Path | None = None
) -> AsyncIterator[Child]:
    """Started in the repository's root; its standard error is ours, or goes into `log`."""
    with open(log, "wb") if log else contextlib.nullcontext() as stderr:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=stderr, cwd=ROOT, env=dict(environment), limit=_MAX_LINE_BYTES
        )
    started = Child(name, process)
    try:
        yield started
    finally:
        await started.stop()
