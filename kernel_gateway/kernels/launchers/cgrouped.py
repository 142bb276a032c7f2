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
    """Has the name of the launcher within. A process moves to its cgroup while it starts; `settled` waits for that."""

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
        return CgroupedProcess(process, cgroup)

    async def close(self) -> None:
        await self._inner.close()


class CgroupedProcess:
    """Has ended when its cgroup is gone too. `moves` is false for a process that joined its cgroup before it ran."""

    def __init__(self, inner: KernelProcess, cgroup: Cgroup, *, moves: bool = True) -> None:
        self._inner, self._cgroup = inner, cgroup
        self._ran_out_of_memory = False
        self._moved = asyncio.create_task(self._move() if moves else asyncio.sleep(0), name="cgroup-move")
        self._gone = asyncio.create_task(self._end(), name="cgroup-end")

    def __repr__(self) -> str:
        return f"<CgroupedProcess {self._inner!r}>"

    @property
    def pid(self) -> int:
        return self._inner.pid

    @property
    def returncode(self) -> int | None:
        return self._inner.returncode

    async def _move(self) -> None:
        await asyncio.to_thread(_add_tree, self._cgroup, self._inner.pid)

    async def settled(self) -> None:
        """Raises GatewayError("sandbox")."""
        try:
            await asyncio.shield(self._moved)
        except OSError as error:
            raise GatewayError("sandbox", f"cannot move a kernel to its cgroup: {error.strerror}") from error

    async def wait(self) -> int:
        return await asyncio.shield(self._gone)

    async def _end(self) -> int:
        code = await self._inner.wait()
        await asyncio.wait({self._moved})
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
