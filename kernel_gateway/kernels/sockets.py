"""The kernel's five listening sockets, its sixth channel and its memory file, opened here and inherited by the kernel.

No folder is shared with the sandbox and no socket is created in it; the paths lead only from this process, and are not
what a kernel reads as its sockets' names.
"""

import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kernel_gateway.kernels.memory import MemoryFile
from kernel_gateway.sandbox.owned import PREFIX, is_left_over, owned, remove

CHANNELS = ("shell", "iopub", "stdin", "hb", "control")


@dataclass(slots=True)
class KernelSockets:
    """`folder` (0700) holds the paths; `inherited` are the kernel's ends, `channel` is ours of the sixth channel."""

    folder: Path
    inherited: dict[str, socket.socket]
    channel: socket.socket
    memory: MemoryFile

    @classmethod
    def open(cls) -> "KernelSockets":
        # A Unix socket's path holds at most 107 bytes, so the folder's name is short.
        folder = Path(tempfile.mkdtemp(prefix=owned("")))
        inherited = {}
        inside = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        for port, name in enumerate(CHANNELS, start=1):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.bind(f"/proc/self/fd/{inside}/k-{port}")  # the name that getsockname() tells for ever
            sock.listen(8)
            inherited[name] = sock
        os.close(inside)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        inherited["channel"] = theirs
        return cls(folder, inherited, ours, MemoryFile())

    def path(self, name: str) -> str:
        return str(self.folder / f"k-{CHANNELS.index(name) + 1}")

    def fds(self) -> dict[str, int]:
        return {name: sock.fileno() for name, sock in self.inherited.items()} | {"memory": self.memory.theirs}

    def release(self) -> None:
        """Closes this process's copies of the kernel's ends, once the kernel has inherited them."""
        for sock in self.inherited.values():
            sock.close()
        self.memory.release()

    def close(self) -> None:
        self.release()
        self.channel.close()
        self.memory.close()
        remove(self.folder)


def sweep() -> None:
    """Removes the folders of gateways that were killed: the name says whose it was. Called once, at start."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        try:
            if is_left_over(folder.name) and folder.lstat().st_uid == os.getuid():
                remove(folder)
        except FileNotFoundError:
            continue
