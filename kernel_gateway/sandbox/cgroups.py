"""A cgroup per kernel: how much memory, how many tasks and how much processor time it may take from all others.

Version 2 in the subtree that is delegated to this process, version 1 where a controller is mounted writable; each
controller on its own, so a host may give some and not others. Standard library only.
Source: https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/.
"""

import asyncio
import logging
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kernel_gateway.sandbox.owned import PREFIX, is_left_over, owned

log = logging.getLogger(__name__)

CONTROLLERS = ("memory", "pids", "cpu")
OWN_LEAF = "gateway"  # version 2 lets a process live only in a leaf: this process moves there, beside its kernels
PERIOD_MICROSECONDS = 100_000  # the kernel's default for cpu.max
_REMOVE_ATTEMPTS, _REMOVE_PAUSE_SECONDS = 200, 0.01  # a cgroup is busy for milliseconds after its last task has ended


@dataclass(frozen=True, slots=True)
class CgroupLimits:
    """`cpus` in whole processors, or infinite; `cpu_weight` as in version 2: 1 to 10,000, where others have 100."""

    memory_bytes: int
    tasks: int
    cpus: float
    cpu_weight: int

    def files(self, version: int, controller: str) -> Mapping[str, str]:
        """What to write where, in order."""
        weight, endless = self.cpu_weight, self.cpus == math.inf
        quota = 0 if endless else round(self.cpus * PERIOD_MICROSECONDS)
        written: dict[tuple[int, str], dict[str, object]] = {
            (2, "memory"): {"memory.max": self.memory_bytes, "memory.swap.max": 0, "memory.oom.group": 1},
            (2, "pids"): {"pids.max": self.tasks},
            (2, "cpu"): {"cpu.max": f"{'max' if endless else quota} {PERIOD_MICROSECONDS}", "cpu.weight": weight},
            (1, "memory"): {
                "memory.limit_in_bytes": self.memory_bytes,
                "memory.memsw.limit_in_bytes": self.memory_bytes,
            },
            (1, "pids"): {"pids.max": self.tasks},
            (1, "cpu"): {
                "cpu.cfs_period_us": PERIOD_MICROSECONDS,
                "cpu.cfs_quota_us": -1 if endless else quota,
                "cpu.shares": max(2, weight * 1024 // 100),
            },
        }
        return {name: f"{value}" for name, value in written[version, controller].items()}


_WHERE_SWAP_IS_COUNTED = {"memory.swap.max", "memory.memsw.limit_in_bytes"}  # absent on a host that does not


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where the cgroups of one controller are made."""

    version: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One kernel's, in every hierarchy that there is."""

    folders: tuple[Path, ...]
    _memory: Path | None

    def add(self, pid: int) -> None:
        """The process and all its threads. Raises ProcessLookupError where it is gone. Waits 10 ms on version 1."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(f"{pid}")

    def ran_out_of_memory(self) -> bool:
        """Whether what was killed in it was killed for want of memory. To be asked before `remove`.

        Version 1 counts a kill only where it happened, which may be in a container's cgroup within that is gone by now;
        so there a limit that was reached has to do.
        """
        if self._memory is None:
            return False
        if (self._memory / "memory.events").exists():
            counts = dict(line.split() for line in (self._memory / "memory.events").read_text().splitlines())
            return int(counts["oom_kill"]) > 0
        most, limit = ((self._memory / f"memory.{name}_in_bytes").read_text() for name in ("max_usage", "limit"))
        return int(most) >= int(limit)

    async def remove(self) -> None:
        """Waits until its last task has left. Logs what cannot be removed."""
        for folder in self.folders:
            for _ in range(_REMOVE_ATTEMPTS):
                if (problem := _remove(folder)) is None:
                    break
                await asyncio.sleep(_REMOVE_PAUSE_SECONDS)
            else:
                log.error("a cgroup cannot be removed: %s: %s", folder, problem)


@dataclass(frozen=True, slots=True)
class Cgroups:
    """What this process may use: `hierarchies` by controller, and one line for each controller that is `missing`.

    `everywhere` is where this process is in every hierarchy: a container runtime makes cgroups in all of them.
    """

    hierarchies: Mapping[str, Hierarchy]
    missing: Mapping[str, str]
    everywhere: frozenset[Path]

    @classmethod
    def find(
        cls, mounts: Path = Path("/proc/self/mountinfo"), membership: Path = Path("/proc/self/cgroup")
    ) -> "Cgroups":
        """Moves this process into a leaf of its own where version 2 asks for it."""
        mounted, paths = _mounted(mounts.read_text()), _paths(membership.read_text())
        hierarchies, missing = {}, {}
        unified = _delegated(*mounted["2"], paths) if "2" in mounted else (None, frozenset[str](), "not mounted")
        for controller in CONTROLLERS:
            if unified[0] is not None and controller in unified[1]:
                hierarchies[controller] = Hierarchy(2, unified[0])
            elif controller not in mounted:
                missing[controller] = f"version 2: {unified[2]}; version 1: not mounted"
            elif not os.access(own := _own_folder(*mounted[controller], paths.get(controller, "/")), os.W_OK | os.X_OK):
                missing[controller] = f"version 2: {unified[2]}; version 1: `{own}` is not writable"
            else:
                hierarchies[controller] = Hierarchy(1, own)
        everywhere = {_own_folder(*mount, paths.get(name, "/")) for name, mount in mounted.items()}
        return cls(hierarchies, missing, frozenset(everywhere | {each.folder for each in hierarchies.values()}))

    def create(self, label: str, limits: CgroupLimits) -> Cgroup:
        """An empty one with its limits set, named after this process. Raises OSError."""
        made: dict[Path, None] = {}
        try:
            for controller, hierarchy in self.hierarchies.items():
                folder = hierarchy.folder / owned(label)
                if folder not in made:
                    folder.mkdir()
                    made[folder] = None
                for name, value in limits.files(hierarchy.version, controller).items():
                    if name not in _WHERE_SWAP_IS_COUNTED or (folder / name).exists():
                        (folder / name).write_text(value)
        except OSError:
            for folder in made:
                folder.rmdir()
            raise
        memory = self.hierarchies.get("memory")
        return Cgroup(tuple(made), memory.folder / owned(label) if memory else None)

    def sweep(self) -> None:
        """Removes those of gateways that were killed. Their kernels have died with them; one in use stays."""
        for folder in self.everywhere:
            for left in folder.glob(f"{PREFIX}*-*"):
                if is_left_over(left.name) and (problem := _remove(left)) is not None:
                    log.warning("a cgroup of a gateway that is gone cannot be removed: %s: %s", left, problem)


def _remove(folder: Path) -> OSError | None:
    """With the cgroups within, which a container runtime may have made. Returns why it cannot be done yet."""
    try:
        within = [each for each in folder.iterdir() if each.is_dir()]
        for each in within:
            if (problem := _remove(each)) is not None:
                return problem
        folder.rmdir()
    except FileNotFoundError:
        return None
    except OSError as error:
        return error
    return None


def _mounted(mountinfo: str) -> Mapping[str, tuple[Path, PurePosixPath]]:
    """Mount point and the mount's root by controller of version 1; `2` is the unified hierarchy. See proc(5)."""
    found: dict[str, tuple[Path, PurePosixPath]] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        kind, _, options = after.split(" ", 2)
        names = ["2"] if kind == "cgroup2" else options.split(",") if kind == "cgroup" else []
        for name in names:
            found.setdefault(name, (Path(point), PurePosixPath(root)))
    return found


def _paths(membership: str) -> Mapping[str, str]:
    """This process's cgroup by controller of version 1; `2` is the unified hierarchy. See cgroups(7)."""

    def entries() -> Iterator[tuple[str, str]]:
        for line in membership.splitlines():
            number, controllers, path = line.split(":", 2)
            for name in controllers.split(",") if controllers else ["2"] if number == "0" else []:
                yield name, path

    return dict(entries())


def _own_folder(point: Path, root: PurePosixPath, path: str) -> Path:
    """Where a cgroup's files are, if the mount shows it; else the mount's top: a container's own, without namespace."""
    own = PurePosixPath(path)
    inside = own.relative_to(root) if own.is_relative_to(root) else PurePosixPath()
    return point / inside if (point / inside).is_dir() else point


def _delegated(point: Path, root: PurePosixPath, paths: Mapping[str, str]) -> tuple[Path | None, frozenset[str], str]:
    """Where to make cgroups of version 2 with which controllers; or None, and why not."""
    own = _own_folder(point, root, paths.get("2", "/"))
    top = own.parent if own.name == OWN_LEAF else own
    control = top / "cgroup.subtree_control"
    try:
        available = frozenset((top / "cgroup.controllers").read_text().split()) & set(CONTROLLERS)
        if not available:
            return None, available, f"`{top}` has no controller for memory, pids or cpu"
        if not available <= set(control.read_text().split()):
            if (top / "cgroup.type").exists():  # every cgroup but the root, which may hold tasks and controllers
                (top / OWN_LEAF).mkdir(exist_ok=True)
                (top / OWN_LEAF / "cgroup.procs").write_text(f"{os.getpid()}")
            control.write_text(" ".join(f"+{name}" for name in sorted(available)))
        if not os.access(top, os.W_OK | os.X_OK):
            return None, available, f"`{top}` is not delegated to this user"
    except OSError as error:
        return None, frozenset(), f"`{top}` is not delegated to this process ({error.strerror})"
    return top, available, ""
