"""What a gateway holds, counted from outside by /proc, and what of it was not there before."""

import contextlib
import ctypes
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench.processes import below

_CGROUPS = Path("/sys/fs/cgroup")
_PR_SET_CHILD_SUBREAPER = 36  # include/uapi/linux/prctl.h

Census = Mapping[str, int]
"""How many of each kind."""


def census(pid: int, folder: Path) -> Census:
    """Of a gateway that keeps its files, the temporary ones too, below `folder`. Its tasks only itself can count."""
    processes = below(pid)
    zombies = sum(process.is_zombie for process in processes)
    own = re.compile(rf"(?<!\d){pid}(?!\d)")  # whoever makes cgroups and mounts for kernels puts our process id in them
    mounts = [line.split()[4] for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    return {
        "processes": len(processes) - zombies,
        "zombies": zombies,
        "orphans": _orphans(pid),
        "cgroups": sum(bool(own.search(name)) for _, folders, _ in os.walk(_CGROUPS) for name in folders),
        "mounts": sum(mount.startswith(str(folder)) or bool(own.search(mount)) for mount in mounts),
        "files": sum(len(folders) + len(names) for _, folders, names in os.walk(folder)),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
    }


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Processes that outlive their parent become this process's meanwhile, so that the census finds them."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _orphans(gateway: int) -> int:
    """What is below this process and not the gateway's, without the dead, which are reaped as init would do it."""
    processes = below(os.getpid())
    others = [each for each in processes if each.parent == os.getpid() and each.pid != gateway]
    for dead in (each for each in others if each.is_zombie):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(dead.pid, os.WNOHANG)
    return sum(1 + len(below(each.pid)) for each in others if not each.is_zombie)


def left(before: Census, after: Census) -> dict[str, int]:
    """What there is more of."""
    return {kind: max(0, after[kind] - count) for kind, count in before.items()}


def private_folder() -> tempfile.TemporaryDirectory[str]:
    """For the state and the temporary files of one gateway. Its name is short: a socket's path holds 107 bytes."""
    return tempfile.TemporaryDirectory(prefix="so-")
