"""A file in memory that a kernel inherits: filled once by the gateway, sealed, then read there copy-on-write.

A kernel may receive no descriptor later (recvmsg is forbidden), so each has one from its start. It is empty until then.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class MemoryFile:
    """`theirs` opens it for reading only; it is closed here once the kernel has it."""

    def __init__(self) -> None:
        self._ours = os.memfd_create("state", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.fchmod(self._ours, 0o400)
        self.theirs = os.open(f"/proc/self/fd/{self._ours}", os.O_RDONLY | os.O_CLOEXEC)
        self.is_filled = False

    def __repr__(self) -> str:
        return f"<MemoryFile {'filled' if self.is_filled else 'empty'}>"

    @contextmanager
    def filling(self, size: int) -> Iterator[int]:
        """A descriptor, to write its `size` bytes inside. Sealed afterwards, and then the same for good."""
        os.ftruncate(self._ours, size)
        yield self._ours
        fcntl.fcntl(self._ours, fcntl.F_ADD_SEALS, _SEALS)
        self.is_filled = True

    def release(self) -> None:
        """Closes this process's copy of the kernel's end."""
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1

    def close(self) -> None:
        self.release()
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1
