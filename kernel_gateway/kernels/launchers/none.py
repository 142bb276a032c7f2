"""A plain child process without any sandbox: for a machine where nothing is at stake, and only with `--unsafe`."""

import asyncio
import contextlib
import os
import signal
import tempfile
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path

from kernel_gateway.kernels.launchers.processes import ChildProcess, fresh_start, python_command, spawn
from kernel_gateway.sandbox.owned import owned, remove
from kernel_gateway.sandbox.spec import IMAGE, SandboxSpec


class PlainProcess(ChildProcess):
    """Leads a process group: what it has started is killed with it, unless that has left the group."""

    def __init__(self, process: Process, home: Path) -> None:
        super().__init__(process)
        self._home = home

    async def _end(self) -> int:
        code = await super()._end()
        self._kill_group(signal.SIGKILL)
        await asyncio.to_thread(remove, self._home)
        return code

    def send_signal(self, signum: int) -> None:
        if self.returncode is None:
            self._kill_group(signum)

    def _kill_group(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signum)


class PlainLauncher:
    name = "none"

    def __init__(self, spec: SandboxSpec) -> None:
        self._spec = spec

    def __repr__(self) -> str:
        return f"<PlainLauncher image={self._spec.image_digest[:12]}>"

    async def launch(self, fds: Mapping[str, int]) -> PlainProcess:
        python, packages = self._spec.on_host(self._spec.python), self._spec.on_host(IMAGE)
        start = fresh_start(fds, self._spec.plan(self.name))
        command = python_command(python, packages, "kernel_ext.start", start, flags="-IS", parent=os.getpid())
        home = Path(tempfile.mkdtemp(prefix=owned("")))
        try:
            (home / "tmp").mkdir()
            process = await spawn(python, command, fds.values(), self._spec.environment_in(home), f"{home}")
        except BaseException:
            remove(home)
            raise
        return PlainProcess(process, home)

    async def close(self) -> None:
        """Each kernel is a process of its own; nothing else runs."""
