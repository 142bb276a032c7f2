"""What is off, as a file in the state folder: every gateway of that folder reads it, and it outlives them all.

Its law: where it cannot be read, everything is off.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from kernel_gateway.errors import ConfigError
from kernel_gateway.store.private import private_file, private_folder, read_secret, replace_secret


class Part(StrEnum):
    """What can be off: everything, or one of these by its name."""

    ALL = "all"
    SERVER = "server"
    OPERATION = "operation"
    ROLE = "role"
    FRONT_END = "front_end"


@dataclass(frozen=True, slots=True)
class Off:
    """One thing that is off, why, since when (seconds since the epoch), and who said so.

    Raises ValueError where ALL has a name or anything else has none: an empty name is no wildcard.
    """

    part: Part
    name: str
    reason: str
    by: str
    at: float

    def __post_init__(self) -> None:
        if (self.part is Part.ALL) != (self.name == ""):
            raise ValueError("everything has no name, and anything else has one")

    @property
    def line(self) -> str:
        """What a caller is told."""
        what = "this service" if self.part is Part.ALL else f"the {self.part.replace('_', ' ')} `{self.name}`"
        return f"{what} is switched off{f': {self.reason}' if self.reason else ''}; an operator must switch it on again"


_ENTRIES = TypeAdapter(tuple[Off, ...])

Change = Callable[[tuple[Off, ...]], tuple[Off, ...]]


class SwitchFile:
    """`switch.json` in the state folder. A folder that never had one begins with everything on."""

    def __init__(self, folder: Path) -> None:
        private_folder(folder)
        self._path, self._lock = folder / "switch.json", folder / "switch.lock"
        with self._alone():
            if not os.path.lexists(self._path):
                self._write(())

    def __repr__(self) -> str:
        return f"<SwitchFile {self._path}>"

    def read(self) -> tuple[Off, ...]:
        """What is off: everything, where that cannot be known."""
        try:
            content = read_secret(self._path)
            return _ENTRIES.validate_json(content or b"", strict=True)
        except (ConfigError, OSError, ValidationError):
            reason = "its state cannot be read, see switch.json in the state folder"
            return (Off(Part.ALL, "", reason, "", 0.0),)

    def stamp(self) -> tuple[int, ...] | None:
        """Changes with the content; None where there is no file."""
        try:
            status = self._path.lstat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode

    def change(self, change: Change) -> tuple[Off, ...]:
        """What is off after `change`, once it is on the disk. Raises ConfigError or OSError."""
        with self._alone():
            after = change(self.read())
            self._write(after)
            return after

    def _write(self, entries: tuple[Off, ...]) -> None:
        values = [asdict(entry) for entry in entries]
        replace_secret(self._path, json.dumps(values, ensure_ascii=False, indent=1).encode() + b"\n")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Another gateway of this folder waits."""
        private_file(self._lock)
        with self._lock.open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
