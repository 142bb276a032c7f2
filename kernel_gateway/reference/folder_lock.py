"""One world to a folder: two would each delete the other's unfinished files."""

import fcntl
import os
from pathlib import Path

NAME = "world.lock"  # a file of our own: who picks a folder for us may hold a lock of theirs in it


class FolderInUseError(RuntimeError):
    """Another world has the folder."""


class FolderLock:
    """Held until `release`, or the end of the process however it comes. Raises FolderInUseError."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise FolderInUseError(
                f"a running reference world has the folder `{folder}`; stop that one or name another folder"
            ) from None

    def release(self) -> None:
        """Calling it again does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
