"""What is inside compressed data, up to a limit: a session may keep an archive, but none with an image in it."""

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

MOST_BYTES = 4 << 20
"""Of one stream so much is looked into: more would cost a checkpoint its time, and an image file begins sooner."""
_LEAST_BYTES = 48

_IMAGE_NAME = re.compile(
    rb"(?i)\.(?:png|jpe?g|gif|webp|bmp|tiff?|hei[cf]|avif|ico|psd|jp2|jxl|p[bgpn]m|tga|dds|exr|dng|cr[23]|nef|arw)$"
)


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def _gzip() -> _Decompressor:
    return zlib.decompressobj(31)


def _zlib() -> _Decompressor:
    return zlib.decompressobj(15)


def _raw() -> _Decompressor:
    return zlib.decompressobj(-15)


MARKS: dict[bytes, tuple[int, Callable[[], _Decompressor]]] = {
    b"\x1f\x8b\x08": (0, _gzip),
    b"1AY&SY": (4, bz2.BZ2Decompressor),
    b"\xfd7zXZ\0": (0, lzma.LZMADecompressor),
    b"\x5d\0\0\x80\0": (0, lzma.LZMADecompressor),
}
"""Mark, where in the stream it is, and what expands it; a zip's members have a head of their own."""
ZIP_MARK = b"PK\3\4"
ZLIB_HEADS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def expanded(data: bytes, start: int, make: Callable[[], _Decompressor]) -> bytes:
    """What the stream at `start` holds, up to MOST_BYTES; as far as it went where it is damaged."""
    stream, out, step = make(), bytearray(), 1 << 16
    try:
        for at in range(start, len(data), step):
            out += stream.decompress(data[at : at + step], MOST_BYTES - len(out))
            if len(out) >= MOST_BYTES or getattr(stream, "eof", False):
                break
    except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError, MemoryError):
        pass
    return bytes(out) if len(out) >= _LEAST_BYTES else b""


def member(data: bytes, start: int) -> tuple[bool, bytes]:
    """Of a zip's member at `start`: whether its name is an image's, and what it holds where that is compressed."""
    head = data[start : start + 30]
    if len(head) < 30:
        return False, b""
    method, size = int.from_bytes(head[8:10], "little"), int.from_bytes(head[18:22], "little")
    name = data[start + 30 : start + 30 + int.from_bytes(head[26:28], "little")]
    body = start + 30 + len(name) + int.from_bytes(head[28:30], "little")
    named = _IMAGE_NAME.search(name) is not None and (size > _LEAST_BYTES or bool(head[6] & 8))
    if method == 8:
        return named, expanded(data, body, _raw)
    if method == 12:
        return named, expanded(data, body, bz2.BZ2Decompressor)
    return named, b""  # stored: searched as it lies there


def headless(data: bytes) -> Iterator[bytes]:
    """What data that may be compressed, and does not say so, holds: zlib's two bytes are weak, raw deflate has none."""
    if data[:2] in ZLIB_HEADS:
        yield expanded(data, 0, _zlib)
    elif len(data) >= 64 and data[0] & 7 in (4, 5):  # the first block of a raw stream, with codes of its own
        yield expanded(data, 0, _raw)
