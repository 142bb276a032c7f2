"""Any launcher's kernels, each in a cgroup of its own."""

import asyncio
import itertools
from collections.abc import Mapping
from pathlib import Path

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.launchers import KernelProcess, Launcher
from kernel_gateway.sandbox.cgroups import Cgroup, CgroupLimits, Cgroups

_numbers = itertools.count(1)  # of this process: several launchers make cgroups in one place


class CgroupedLauncher:
    """Has the name of the launcher within. No kernel is handed out before its cgroup holds all of its processes."""

    def __init__(self, inner: Launcher, cgroups: Cgroups, limits: CgroupLimits) -> None:
        self._inner, self._cgroups, self._limits = inner, cgroups, limits

    def __repr__(self) -> str:
        return f"<CgroupedLauncher {', '.join(self._cgroups.hierarchies)} around {self._inner!r}>"

    @property
    def name(self) -> str:
        return self._inner.name

    async def launch(self, fds: Mapping[str, int]) -> "CgroupedProcess":
        try:
            cgroup = self._cgroups.create(f"{next(_numbers)}", self._limits)
        except OSError as error:
            raise GatewayError("sandbox", f"cannot make a cgroup for a kernel: {error.strerror}") from error
        try:
            process = await self._inner.launch(fds)
        except BaseException:
            await cgroup.remove()
            raise
        cgrouped = CgroupedProcess(process, cgroup)
        try:
            await asyncio.to_thread(_add_tree, cgroup, process.pid)
        except BaseException as error:
            cgrouped.send_signal(9)
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
        self._ran_out_of_memory = self._cgroup.ran_out_of_memory()
        await self._cgroup.remove()
        return code

    def send_signal(self, signum: int) -> None:
        self._inner.send_signal(signum)

    def last_words(self) -> str:
        return self._inner.last_words()

    def ran_out_of_memory(self) -> bool:
        return self._ran_out_of_memory


def _add_tree(cgroup: Cgroup, pid: int) -> None:
    """The process and what it has started. A child is born in its parent's cgroup, so a pass that adds none is last."""
    added: set[int] = set()
    while missing := _tree(pid) - added:
        for each in missing:
            try:
                cgroup.add(each)
            except ProcessLookupError:
                continue
            finally:
                added.add(each)


def _tree(pid: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it ended while we looked
        children.setdefault(int(parent), []).append(int(folder.name))
    found, waiting = set(), [pid]
    while waiting:
        found.add(here := waiting.pop())
        waiting += children.get(here, [])
    return found
