"""The files of chunks too large for a row: ciphertext by random name, mode 0600, in folders by the first two digits.

A file is whole before the transaction that refers to it begins, and removed after the one that lets go of it has ended:
what a death in between leaves is a file that nothing refers to, which `Checkpoints.remove_strays` finds.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from kernel_gateway.errors import GatewayError
from kernel_gateway.store.private import private_folder, sync_folder


class ChunkFiles:
    """`survives_power_loss`: a file that was written is on the disk itself."""

    def __init__(self, folder: Path, *, survives_power_loss: bool) -> None:
        self._folder, self._is_flushed = folder, survives_power_loss

    def __repr__(self) -> str:
        return f"<ChunkFiles in {self._folder}>"

    def prepare(self) -> None:
        private_folder(self._folder)

    def write(self, chunk_id: str, ciphertext: bytes) -> None:
        """Raises GatewayError `internal` where the disk does not take it."""
        path = self._path(chunk_id)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                rest = memoryview(ciphertext)
                while rest:
                    rest = rest[file.write(rest) :]
                if self._is_flushed:
                    os.fsync(descriptor)
            if self._is_flushed:
                sync_folder(path.parent)
                sync_folder(self._folder)
        except OSError as error:
            self.remove([chunk_id])
            message = f"a checkpoint cannot be written ({error.strerror}); look at `store.folder`"
            raise GatewayError("internal", message) from None

    def read_into(self, chunk_id: str, room: memoryview) -> int:
        """How many bytes the file has, which `room` now holds. Raises GatewayError `not_found`."""
        try:
            descriptor = os.open(self._path(chunk_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            raise GatewayError("not_found", "a part of the checkpoint is gone from the disk") from None
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            size = 0
            while count := file.readinto(room[size:]):
                size += count
        return size

    def remove(self, chunk_ids: Iterable[str]) -> None:
        for chunk_id in chunk_ids:
            self._path(chunk_id).unlink(missing_ok=True)

    def older(self, before: float) -> set[str]:
        """The names of the files that were written before that, in seconds since the epoch."""
        return {path.name for path in self._folder.glob("??/*") if path.lstat().st_mtime < before}

    def _path(self, chunk_id: str) -> Path:
        return self._folder / chunk_id[:2] / chunk_id
