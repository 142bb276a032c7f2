"""What a gateway leaves on the host while it runs: its name says whose it is, so that a later one may sweep it.

Standard library only.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

PREFIX = "kg-"


def owned(label: str) -> str:
    """`kg-<pid of this process>-<label>`."""
    return f"{PREFIX}{os.getpid()}-{label}"


def is_left_over(name: str) -> bool:
    """Whether `name` was made by `owned` in a process that no longer runs."""
    owner, dash, _ = name.removeprefix(PREFIX).partition("-")
    return name.startswith(PREFIX) and bool(dash) and owner.isdigit() and not _runs(int(owner))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def remove(folder: Path) -> None:
    """With what cells left in it: folders of any depth, also such as may not be listed. What cannot go stays."""
    with suppress(OSError):
        if folder.is_symlink():
            return
        while folders := _emptied(folder):
            for each in folders:
                for inner in _emptied(each):
                    inner.chmod(0o700)
                    inner.rename(folder / secrets.token_hex(16))  # a level up: it may be too deep to descend
                each.rmdir()
        folder.rmdir()


def _emptied(folder: Path) -> list[Path]:
    """Unlinks all but the folders in it; returns those."""
    folder.chmod(0o700)
    folders = []
    for each in folder.iterdir():
        if each.is_dir() and not each.is_symlink():
            folders.append(each)
        else:
            each.unlink()
    return folders
