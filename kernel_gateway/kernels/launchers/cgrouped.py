"""Any launcher's kernels, each in a cgroup of its own."""

import asyncio
import itertools
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.launchers import KernelProcess, Launcher
from kernel_gateway.kernels.launchers.processes import descendants
from kernel_gateway.sandbox.cgroups import Cgroup, CgroupLimits, Cgroups

KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # what killed a kernel was seen by us, or told by its parent
_numbers = itertools.count(1)  # of this process: several launchers make cgroups in one place


@dataclass(frozen=True, slots=True)
class KernelCgroups:
    """Where kernels' cgroups are made, and what each may take."""

    cgroups: Cgroups
    limits: CgroupLimits

    def create(self) -> Cgroup:
        """Raises GatewayError("sandbox")."""
        try:
            return self.cgroups.create(f"{next(_numbers)}", self.limits)
        except OSError as error:
            raise GatewayError("sandbox", f"cannot make a cgroup for a kernel: {error.strerror}") from error


class CgroupedLauncher:
    """Has the name of the launcher within. No kernel is handed out before its cgroup holds all of its processes."""

    def __init__(self, inner: Launcher, cgroups: KernelCgroups) -> None:
        self._inner, self._cgroups = inner, cgroups

    def __repr__(self) -> str:
        return f"<CgroupedLauncher {', '.join(self._cgroups.cgroups.hierarchies)} around {self._inner!r}>"

    @property
    def name(self) -> str:
        return self._inner.name

    async def launch(self, fds: Mapping[str, int]) -> "CgroupedProcess":
        cgroup = self._cgroups.create()
        try:
            process = await self._inner.launch(fds)
        except BaseException:
            await cgroup.remove()
            raise
        cgrouped = CgroupedProcess(process, cgroup)
        try:
            await asyncio.to_thread(_add_tree, cgroup, process.pid)
        except BaseException as error:
            cgrouped.send_signal(signal.SIGKILL)
            await cgrouped.wait()
            if isinstance(error, OSError):
                raise GatewayError("sandbox", f"cannot move a kernel to its cgroup: {error.strerror}") from error
            raise
        return cgrouped

    async def close(self) -> None:
        await self._inner.close()


class CgroupedProcess:
    """Has ended when its cgroup is gone too."""

    def __init__(self, inner: KernelProcess, cgroup: Cgroup) -> None:
        self._inner, self._cgroup = inner, cgroup
        self._ran_out_of_memory = False
        self._gone = asyncio.create_task(self._end(), name="cgroup-end")

    def __repr__(self) -> str:
        return f"<CgroupedProcess {self._inner!r}>"

    @property
    def pid(self) -> int:
        return self._inner.pid

    @property
    def returncode(self) -> int | None:
        return self._inner.returncode

    async def wait(self) -> int:
        return await asyncio.shield(self._gone)

    async def _end(self) -> int:
        code = await self._inner.wait()
        self._ran_out_of_memory = code in KILLED and self._cgroup.ran_out_of_memory()
        await self._cgroup.remove()
        return code

    def send_signal(self, signum: int) -> None:
        self._inner.send_signal(signum)

    def last_words(self) -> str:
        return self._inner.last_words()

    def ran_out_of_memory(self) -> bool:
        return self._ran_out_of_memory


def _add_tree(cgroup: Cgroup, pid: int) -> None:
    """The process and what it has started. A child is born in its parent's cgroup, so a look that finds none is last.

    A process that is gone by then needs no limits.
    """
    added: set[int] = set()
    missing = {pid}
    while missing:
        for each in missing:
            with suppress(ProcessLookupError):
                cgroup.add(each)
        added |= missing
        missing = descendants(pid) - added
