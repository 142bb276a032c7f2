"""Chunks back from the disk: read, decrypted, unpacked."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from kernel_gateway.store.chunk_files import ChunkFiles
from kernel_gateway.store.chunks import MAX_CHUNK_BYTES, TAG_BYTES, Stored, unseal


@dataclass(frozen=True, slots=True)
class Sealed:
    """A stored chunk, with its key."""

    stored: Stored
    key: bytes
    organisation: str


class Reader:
    """Of one thread: its buffers are used again for every chunk."""

    def __init__(self, files: ChunkFiles) -> None:
        self._files = files
        self._ciphertext = memoryview(bytearray(MAX_CHUNK_BYTES + TAG_BYTES + 1))  # one more: a longer file is seen
        self._room = memoryview(bytearray(MAX_CHUNK_BYTES))

    def plaintext(self, chunk: Sealed) -> bytes | memoryview:
        """Good until the next call. Raises GatewayError `internal` or `not_found`."""
        ciphertext: bytes | memoryview | None = chunk.stored.body
        if ciphertext is None:
            ciphertext = self._ciphertext[: self._files.read_into(chunk.stored.chunk_id, self._ciphertext)]
        return unseal(chunk.stored, chunk.key, chunk.organisation, ciphertext, self._room)


def read(files: ChunkFiles, chunks: Iterable[Sealed]) -> list[bytes]:
    reader = Reader(files)
    return [bytes(reader.plaintext(chunk)) for chunk in chunks]


def write_at(files: ChunkFiles, placed: Iterable[tuple[Sealed, int]], descriptor: int) -> None:
    """Writes each chunk into the file at its offset. Raises GatewayError `internal` or `not_found`."""
    reader = Reader(files)
    for chunk, offset in placed:
        rest = memoryview(reader.plaintext(chunk))
        while rest:
            count = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[count:], offset + count
