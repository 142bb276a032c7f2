"""A file that gets every signed head as a line: on another disk, say, where the gateway may add but not change."""

import logging
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kernel_gateway.audit.heads import Head

log = logging.getLogger(__name__)


LINE_END = "\n"


class HeadsFile:
    """`fault` says why the newest head is not in the file, or is empty."""

    def __init__(self, path: Path, key: Ed25519PublicKey) -> None:
        self._path, self._key = path, key
        self._newest: Head | None = None
        self.fault = ""

    def add(self, head: Head) -> None:
        """Where it is new, and this ledger's. What cannot be written is not tried again: the next one tells more."""
        if head == self._newest or not head.is_signed_by(self._key):
            return
        self._newest = head
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                # a line of its own, whatever a full disk left of the one before
                file.write(f"{'' if _ends_a_line(self._path) else LINE_END}{head.json()}{LINE_END}")
            self.fault = ""
        except OSError as error:
            self.fault = f"the ledger's head cannot be written to `audit.heads_file`: {error.strerror}"
            log.error("%s", self.fault)


def _ends_a_line(path: Path) -> bool:
    """Whether a line can begin here. Not where that cannot be seen, for an empty line does no harm."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            return file.read(1) in (b"", LINE_END.encode())
    except OSError:
        return False
