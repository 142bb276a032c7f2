"""Bytes cut in chunks, named by what is in them."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

from kernel_ext.checkpoint.pickling import CHUNK_BYTES, Guard, TooMuch

_OVERLAP_BYTES = 4 << 10  # what is cut by the border between two chunks is seen with the second


class SuspectedError(Exception):
    """An image is in what was to leave; its argument says of which kind."""


def cut(data: memoryview) -> Iterator[memoryview]:
    for start in range(0, data.nbytes, CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]


def joined(pieces: Iterable[bytes]) -> Iterator[memoryview]:
    """The same bytes as chunks: all but the last are full."""
    waiting: list[memoryview] = []
    size = 0
    for piece in pieces:
        rest = memoryview(piece)
        while size + rest.nbytes >= CHUNK_BYTES:
            taken = CHUNK_BYTES - size
            yield memoryview(b"".join([*waiting, rest[:taken]]))
            waiting, size, rest = [], 0, rest[taken:]
        if rest.nbytes:
            waiting.append(rest)
            size += rest.nbytes
    if size:
        yield memoryview(b"".join(waiting))


@dataclass(slots=True)
class Writer:
    """Hands to `put` what is not in `held`. `left` bytes may be; looks for a waiting cell before every chunk."""

    put: Callable[[str, memoryview], None]
    check: Callable[[], None]
    guard: Guard
    held: Set[str]
    left: int
    written: set[str] = field(default_factory=set)

    def write(self, parts: list[Callable[[], Iterator[memoryview]]]) -> list[dict[str, Any]]:
        """{"chunks", "bytes"} of each part, which can be asked for its chunks more than once. All or nothing:
        raises TooMuch and SuspectedError before any is put.
        """
        described: list[dict[str, Any]] = []
        new: set[str] = set()
        size = 0
        for part in parts:
            names, total, before = [], 0, b""
            for chunk in part():
                self.check()
                name = hashlib.sha256(chunk).hexdigest()[:32]
                if name not in self.held and name not in self.written and name not in new:
                    if kind := self.guard.suspects(chunk) or (
                        before and self.guard.suspects(before + chunk[:_OVERLAP_BYTES])
                    ):
                        raise SuspectedError(kind)
                    new.add(name)
                    size += chunk.nbytes
                    if size > self.left:
                        raise TooMuch(f"it takes more than the {self.left} bytes that are left of this save")
                names.append(name)
                total += chunk.nbytes
                before = bytes(chunk[-_OVERLAP_BYTES:])
            described.append({"chunks": names, "bytes": total})
        for part, description in zip(parts, described, strict=True):
            for chunk, name in zip(part(), description["chunks"], strict=True):
                if name in new and name not in self.written:
                    self.check()
                    self.put(name, chunk)
                    self.written.add(name)
        self.left -= size
        return described

    def _suspect(self, chunk: memoryview, before: bytes) -> None:
        kind = self.guard.suspects(chunk)
        if not kind and before:
            kind = self.guard.suspects(before + chunk[:_OVERLAP_BYTES])
        if kind:
            raise SuspectedError(kind)
