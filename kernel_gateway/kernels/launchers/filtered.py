"""The fork server without namespaces, for a host or container that allows none: system calls, Landlock and limits.

A kernel shares the host's process table, its user and its network stack, and reaches none of them: it can make no
socket, signal nobody and open no file but the image's and its own folder's. What it can still see is in SECURITY.md.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.launchers import KernelProcess
from kernel_gateway.kernels.launchers.forkserver import ForkserverLauncher
from kernel_gateway.kernels.launchers.none import PlainProcess
from kernel_gateway.kernels.launchers.processes import python_command, spawn
from kernel_gateway.kernels.launchers.template import ForkedKernel
from kernel_gateway.sandbox.owned import owned, remove
from kernel_gateway.sandbox.spec import IMAGE


class FilteredLauncher(ForkserverLauncher):
    name = "filtered"

    async def launch(self, fds: Mapping[str, int]) -> ForkedKernel:
        template = await self._living()
        home = self._new_home()
        try:
            return await template.fork(fds, home, self._spec.environment_in(home))
        except BaseException:
            remove(home)
            raise

    async def _enter(self, argument: Mapping[str, Any]) -> KernelProcess:
        home = self._new_home()
        python, packages = self._spec.on_host(self._spec.python), self._spec.on_host(IMAGE)
        command = python_command(python, packages, "kernel_ext.template", argument, flags="-IS", parent=os.getpid())
        try:
            environment = self._spec.environment_in(home)
            process = await spawn(python, command, [argument["control"]], environment, str(home))
        except BaseException:
            remove(home)
            raise
        return PlainProcess(process, home)

    def _new_home(self) -> Path:
        try:
            home = Path(tempfile.mkdtemp(prefix=owned("")))
            (home / "tmp").mkdir()
        except OSError as error:
            raise GatewayError("sandbox", f"cannot make a kernel's folder: {error.strerror}") from error
        return home
