"""Searches bytes for image files at any offset: as they are, as text, and in what is compressed."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from kernel_ext.checkpoint import archives, formats, texts
from kernel_ext.checkpoint.sieve import Sieve

_DEEPEST = 4  # of archives in archives, and of texts in them
_MOST_EXPANDED = 4  # times the data, and at least:
_LEAST_EXPANDED_BYTES = 32 << 20
_SMALL_BYTES = 4096
_TOGETHER_BYTES = 256 << 10
_LEAST_BYTES = 48  # smaller than any image that shows something

_BY_MARK: dict[bytes, list[formats.Format]] = {}
for _format in formats.ANYWHERE:
    _BY_MARK.setdefault(_format.mark, []).append(_format)
_BACKWARDS = {
    each.mark[::-1]: each
    for each in formats.ANYWHERE
    if each.kind in ("image/png", "image/gif", "image/webp", "image/heif", "image/tiff", "image/jpeg")
}
# In a pickle a zero is right before all but short bytes objects: the last of their length's four or eight bytes.
_BEHIND_LENGTH = {
    b"\0" + head
    for head in (*archives.ZLIB_HEADS, *(each.mark for each in formats.FORMATS if not each.anywhere))
    if head[0] > 1
}
_SIEVE = Sieve([*_BY_MARK, *_BACKWARDS, *archives.MARKS, archives.ZIP_MARK, *_BEHIND_LENGTH])

_NUMBERS_OF_PICKLES = re.compile(rb"(?:K[\s\S]){64,}")


def _nothing(data: bytes) -> str:
    return ""


class _Budget:
    """How much may still be expanded in one search, and what else is an image in it."""

    def __init__(self, size: int, known: Callable[[bytes], str]) -> None:
        self.bytes = max(_LEAST_EXPANDED_BYTES, _MOST_EXPANDED * size)
        self.known = known

    def take(self, data: bytes) -> bytes:
        self.bytes -= len(data)
        return data if self.bytes > 0 else b""


def find(data: bytes, known: Callable[[bytes], str] = _nothing) -> str:
    """The kind of the first image found; "" where there is none. `known` names the kind of bytes without a header."""
    return _find(data, 0, _Budget(len(data), known))


def _find(data: bytes, depth: int, budget: _Budget) -> str:
    if len(data) < _LEAST_BYTES or depth > _DEEPEST:
        return ""
    if kind := formats.beginning(data) or _marked(data, depth, budget) or budget.known(data):
        return kind
    return _in_any(chain(archives.headless(data), _read(data)), depth, budget)


def _in_any(pieces: Iterable[bytes], depth: int, budget: _Budget) -> str:
    """Small pieces are searched together, as a search has a cost of its own."""
    together = bytearray()
    for piece in pieces:
        inner = budget.take(piece)
        if len(inner) < _SMALL_BYTES:
            together += inner + bytes(16)
            kind = formats.beginning(inner)
        else:
            kind = _find(inner, depth + 1, budget)
        if not kind and len(together) > _TOGETHER_BYTES:
            kind = _find(bytes(together), depth + 1, budget)
            together.clear()
        if kind:
            return kind
    return _find(bytes(together), depth + 1, budget)


def _read(data: bytes) -> Iterator[bytes]:
    """What the texts in the data stand for."""
    for flag, text in texts.stretches(data):
        yield from texts.decoded(flag, text)
    yield from texts.escaped(data)
    yield from _numbers(data)
    yield from _wide(data)


def _marked(data: bytes, depth: int, budget: _Budget) -> str:
    for offset, mark in _SIEVE.hits(data):
        for format_ in _BY_MARK.get(mark, ()):
            if formats.at(format_, data, offset - format_.at):
                return format_.kind
        if mark in _BACKWARDS and (kind := _backwards(data, offset, mark)):
            return kind
        if mark in _BEHIND_LENGTH:
            inner = _pickled(data, offset + 1)
        elif mark == archives.ZIP_MARK:
            named, inner = archives.member(data, offset)
            if named:
                return "application/zip"
        elif mark in archives.MARKS:
            before, make = archives.MARKS[mark]
            inner = archives.expanded(data, offset - before, make) if offset >= before else b""
        else:
            continue
        if kind := _find(budget.take(inner), depth + 1, budget):
            return kind
    return ""


def _backwards(data: bytes, offset: int, mark: bytes) -> str:
    """The bytes of a number are from last to first where it was read as big endian."""
    format_ = _BACKWARDS[mark]
    end = offset + len(mark) + format_.at
    turned = data[max(0, end - (64 << 10)) : end][::-1]
    return format_.kind if formats.at(format_, turned, 0) else ""


def _pickled(data: bytes, start: int) -> bytes:
    """The bytes object of a pickle that begins there, where one does (pickletools: BINBYTES, BINBYTES8, BYTEARRAY8)."""
    for opcodes, width in (b"B", 4), (b"\x8e\x96", 8):
        if start > width and data[start - width - 1] in opcodes:
            length = int.from_bytes(data[start - width : start], "little")
            if 64 <= length <= len(data) - start:
                return data[start : start + length]
    return b""


def _numbers(data: bytes) -> Iterator[bytes]:
    """Numbers below 256 in a row in a pickle (BININT1)."""
    if data.count(b"K") * 16 > len(data):
        yield b"".join(match[0][1::2] for match in _NUMBERS_OF_PICKLES.finditer(data))


def _wide(data: bytes) -> Iterator[bytes]:
    """Texts of two or four bytes a character."""
    for width in (2, 4):
        for first in range(width):
            probe = data[first : first + 512 * width : width]
            rest = data[first + 1 : first + 512 * width : width]
            if (
                len(probe) > 64
                and not any(rest)
                and probe.isascii()
                and all(each >= 32 or each in b"\r\n" for each in probe)
            ):
                yield data[first::width]
