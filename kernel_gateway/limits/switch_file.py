"""What is off, as a file in the state folder: every gateway of that folder reads it, and it outlives them all.

Its law: where it cannot be read, everything is off.
"""

import fcntl
import json
import os
import secrets
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


@dataclass(frozen=True, slots=True)
class State:
    """All that is off. `epoch` is another one after each change: what was agreed to before it can be told by it."""

    epoch: str
    off: tuple[Off, ...]


_STATE = TypeAdapter(State)
_EPOCH_BYTES = 8

Change = Callable[[tuple[Off, ...]], tuple[Off, ...]]


class SwitchFile:
    """`switch.json` in the state folder. A folder that never had one begins with everything on."""

    def __init__(self, folder: Path, random_token: Callable[[int], str] = secrets.token_hex) -> None:
        self._random_token = random_token
        private_folder(folder)
        self._path, self._lock = folder / "switch.json", folder / "switch.lock"
        with self._alone():
            if not os.path.lexists(self._path):
                self._write(())

    def __repr__(self) -> str:
        return f"<SwitchFile {self._path}>"

    def read(self) -> State:
        """What is off: everything, where that cannot be known."""
        try:
            content = read_secret(self._path)
            return _STATE.validate_json(content or b"", strict=True)
        except (ConfigError, OSError, ValidationError):
            reason = "its state cannot be read, see switch.json in the state folder"
            return State("", (Off(Part.ALL, "", reason, "", 0.0),))

    def stamp(self) -> tuple[int, ...] | None:
        """Changes with the content; None where there is no file."""
        try:
            status = self._path.lstat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode

    def change(self, change: Change) -> State:
        """What is off after `change`, once it is on the disk. Raises ConfigError or OSError."""
        with self._alone():
            return self._write(change(self.read().off))

    def _write(self, off: tuple[Off, ...]) -> State:
        state = State(self._random_token(_EPOCH_BYTES), off)
        replace_secret(self._path, json.dumps(asdict(state), ensure_ascii=False, indent=1).encode() + b"\n")
        return state

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Another gateway of this folder waits."""
        private_file(self._lock)
        with self._lock.open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
