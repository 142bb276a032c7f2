"""Which gateways of a state folder live. A session belongs to the one whose mark its id begins with.

Each holds a lock of its own, and those of the dead whose work it took over: no other gateway touches what is theirs.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from kernel_gateway.errors import ConfigError
from kernel_gateway.store.private import private_folder

_MARK_BYTES = 4  # two gateways of one folder that drew the same could not both start


class Lives:
    """Locked from here until `close`, or the end of the process however it comes. Raises ConfigError."""

    def __init__(self, folder: Path, random_token: Callable[[int], str] = secrets.token_hex) -> None:
        self._folder = private_folder(folder / "lives")
        self._held: dict[str, int] = {}
        for path in self._folder.glob("*.lock"):
            self._take(path.stem)
        self.own = random_token(_MARK_BYTES)
        if not self._take(self.own, create=True):
            raise ConfigError(f"another gateway has the mark `{self.own}` in `{self._folder}`; start again")

    def __repr__(self) -> str:
        return f"<Lives {self.own}, {len(self._held)} held>"

    def are_elsewhere(self, session_id: str) -> bool:
        """Whether the session is another gateway's, which lives."""
        mark = _mark(session_id)
        if mark in self._held or not (self._folder / f"{mark}.lock").exists():
            return False
        if not self._take(mark):
            return True
        self._forget(mark)
        return False

    def keep(self, session_ids: Iterable[str]) -> None:
        """Once everything that the dead left is taken over: from here on these sessions are ours, and no other's."""
        kept = {self.own, *map(_mark, session_ids)} - {""}
        for mark in kept - self._held.keys():
            self._take(mark, create=True)
        for mark in self._held.keys() - kept:
            self._forget(mark)

    def close(self) -> None:
        for mark in list(self._held):
            self._forget(mark)

    def _take(self, mark: str, *, create: bool = False) -> bool:
        """False where it is another's, or gone."""
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        try:
            descriptor = os.open(self._folder / f"{mark}.lock", flags, 0o600)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        if not os.fstat(descriptor).st_nlink:  # its holder ended between the two steps, and took the file along
            os.close(descriptor)
            return create and self._take(mark, create=True)
        self._held[mark] = descriptor
        return True

    def _forget(self, mark: str) -> None:
        (self._folder / f"{mark}.lock").unlink(missing_ok=True)
        os.close(self._held.pop(mark))


def _mark(session_id: str) -> str:
    """Empty for an id of another form."""
    _, _, rest = session_id.partition("_")
    mark = rest[: 2 * _MARK_BYTES]
    return mark if mark.isalnum() else ""
