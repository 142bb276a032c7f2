"""What /proc says of a process and of everything it started, in whatever namespaces that is."""

import os
import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_STAT = re.compile(r"^\d+ \(.*\) (\w) (\d+) ", re.DOTALL)
_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    parent: int
    state: str

    @classmethod
    def read(cls, pid: int) -> "Process | None":
        """None where there is none (any more)."""
        try:
            found = _STAT.match(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
        except (FileNotFoundError, ProcessLookupError):
            return None
        return cls(pid, int(found[2]), found[1]) if found else None

    @property
    def is_zombie(self) -> bool:
        return self.state == "Z"

    def kill(self) -> bool:
        """SIGKILL, if its number still is this process's."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            now = Process.read(self.pid)
            if now is None or now.parent != self.parent:
                return False
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            os.close(fd)
        return True


def below(root: int) -> list[Process]:
    """The children of `root`, theirs, and so on, without `root` itself."""
    read = (Process.read(int(name)) for name in os.listdir("/proc") if name.isdigit())
    by_parent: dict[int, list[Process]] = {}
    for process in read:
        if process is not None:
            by_parent.setdefault(process.parent, []).append(process)
    found = list(by_parent.get(root, ()))
    for process in found:
        found += by_parent.get(process.pid, ())
    return found


def without_children(processes: Iterable[Process]) -> list[Process]:
    """Below a gateway these are the kernels; the others are what holds them: templates and the init of a sandbox."""
    processes = list(processes)
    parents = {process.parent for process in processes}
    return [process for process in processes if process.pid not in parents]


def pss_mib(pid: int) -> float:
    """Its proportional set size: what it shares with n others counts for an n-th. A kernel's, only root may read."""
    found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    return int(found[1]) / 1024 if found else 0.0
