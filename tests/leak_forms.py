"""The forms in which bytes may have been written down, undone: used by the leak search."""

import base64
import re
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

MAX_INFLATED = 64 * 1024 * 1024  # of one compressed stream


@dataclass(frozen=True, slots=True)
class View:
    """Decoded bytes. `starts` and `origins` say where in the parent the pieces of `data` came from."""

    form: str
    data: bytes
    starts: list[int]
    origins: list[int]

    def origin(self, at: int) -> int:
        return self.origins[max(bisect_right(self.starts, at) - 1, 0)]


def views(data: bytes, shortest: int, done: tuple[str, ...]) -> Iterator[View]:
    for form, decode in _TEXTUAL.items():
        if done.count(form) < 2:  # encoded twice is common, thrice is not
            yield from decode(data, shortest)
    yield from _inflated(data)


def _pieces(form: str, pieces: Iterable[tuple[int, bytes]]) -> Iterator[View]:
    starts, origins, parts, at = [], [], [], 0
    for origin, part in pieces:
        starts.append(at)
        origins.append(origin)
        parts += [part, b"\n"]
        at += len(part) + 1
    if parts:
        yield View(form, b"".join(parts), starts, origins)


_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_\\"  # a backslash: \n and \/ inside it
_HEX = b"0123456789abcdefABCDEF"
_PRINTABLE = bytes(range(0x21, 0x7F))
_SAME_RUN = re.compile(rb"x*")


def _runs(data: bytes, alphabet: bytes, least: int) -> list[tuple[int, int]]:
    """[(start, end)] of every stretch of at least `least` bytes of `alphabet`, found without a step per byte."""
    classes = data.translate(bytes(ord("x") if byte in alphabet else 0 for byte in range(256)))
    runs, at, unit = [], 0, b"x" * least
    while (at := classes.find(unit, at)) >= 0:
        match = _SAME_RUN.match(classes, at + least)
        runs.append((at, match.end() if match else at + least))
        at = runs[-1][1]
    return runs


_STANDARD = bytes.maketrans(b"-_", b"+/")
_BREAKS = re.compile(rb"\s|\\[rn]|\\")
_LAST_LINE = re.compile(rb"\r?\n[ \t]*[A-Za-z0-9+/_-]*")


def _base64(data: bytes, shortest: int) -> Iterator[View]:
    """Both alphabets, also in lines. A stretch may begin in the middle of four characters: all four are tried."""
    stretches: list[tuple[int, int]] = []
    for start, end in _runs(data, _BASE64, min(shortest * 4 // 3, 40)):
        if stretches and not data[stretches[-1][1] : start].strip():
            start = stretches.pop()[0]
        stretches.append((start, end))
    texts = []
    for start, end in stretches:
        last = _LAST_LINE.match(data, end)
        texts.append((start, _BREAKS.sub(b"", data[start : last.end() if last else end]).translate(_STANDARD)))
    for skip in range(4):
        yield from _pieces("base64", ((at, base64.b64decode(_padded(text[skip:]))) for at, text in texts))


def _padded(text: bytes) -> bytes:
    text = text[:-1] if len(text) % 4 == 1 else text
    return text + b"=" * (-len(text) % 4)


def _hex(data: bytes, shortest: int) -> Iterator[View]:
    runs = _runs(data, _HEX, shortest * 2)
    for skip in range(2):
        pieces = ((start, end - (end - start - skip) % 2) for start, end in runs)
        yield from _pieces("hex", ((start, bytes.fromhex(data[start + skip : end].decode())) for start, end in pieces))


_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


def _percent(data: bytes, shortest: int) -> Iterator[View]:
    if data.count(b"%") > 1:
        runs = [run for run in _runs(data, _PRINTABLE, shortest) if _PERCENT.search(data, *run)]
        plain = ((start, _PERCENT.sub(lambda m: bytes([int(m[1], 16)]), data[start:end])) for start, end in runs)
        yield from _pieces("percent", plain)


_ESCAPE = re.compile(rb"""\\(?:(?:x|u00)([0-9A-Fa-f]{2})|([nrtbf/"'\\]))""")
_MEANT = dict(zip(b"nrtbf", b"\n\r\t\b\f", strict=True))


def _escapes(data: bytes, shortest: int) -> Iterator[View]:
    r"""\x89 and \u0089 as Python and JSON write them, and \n, \/, \" and the like."""
    if len(_ESCAPE.findall(data)) > 1:
        meant = _ESCAPE.sub(lambda m: bytes([int(m[1], 16) if m[1] else _MEANT.get(m[2][0], m[2][0])]), data)
        yield View("escapes", meant, [0], [0])


_WIDE = re.compile(rb"(?:[^\x00]\x00){16,}[^\x00]?")


def _utf16(data: bytes, shortest: int) -> Iterator[View]:
    """Text in UTF-16 of either order, at any offset: every second byte is zero."""
    yield from _pieces("utf-16", ((match.start(), match[0][::2]) for match in _WIDE.finditer(data)))


_TWICE_ENCODED = re.compile(rb"(?:[\xc2\xc3][\x80-\xbf][\x00-\x7f]{0,12}){6,}")


def _utf8_of_latin1(data: bytes, shortest: int) -> Iterator[View]:
    """Bytes that somebody read as Latin-1 text and wrote as UTF-8."""
    runs = ((match.start(), match[0].decode().encode("latin-1")) for match in _TWICE_ENCODED.finditer(data))
    yield from _pieces("latin-1", runs)


_TEXTUAL: dict[str, Callable[[bytes, int], Iterator[View]]] = {
    "base64": _base64,
    "hex": _hex,
    "percent": _percent,
    "escapes": _escapes,
    "utf-16": _utf16,
    "latin-1": _utf8_of_latin1,
}
COMPRESSED = frozenset({"gzip", "zlib", "zip"})
_GZIP = re.compile(rb"\x1f\x8b\x08")
_ZIP = re.compile(rb"PK\x03\x04.{4}\x08\x00.{16}(.{4})", re.DOTALL)  # a deflated member; a stored one is seen raw
# deflate with any window, no dictionary, and a check that makes the two bytes divisible by 31
_ZLIB = re.compile(
    b"|".join(
        b"\\x%02x[%s]"
        % (
            first,
            b"".join(
                b"\\x%02x" % second for second in range(256) if not second & 0x20 and not (first * 256 + second) % 31
            ),
        )
        for first in range(0x08, 0x79, 0x10)
    )
)


def _inflated(data: bytes) -> Iterator[View]:
    streams = [("gzip", 31, match.start(), match.start()) for match in _GZIP.finditer(data)]
    streams += [("zlib", 15, match.start(), match.start()) for match in _ZLIB.finditer(data)]
    streams += [
        ("zip", -15, match.start(), match.end() + sum(struct.unpack("<HH", match[1]))) for match in _ZIP.finditer(data)
    ]
    for form, window, origin, at in streams:
        if plain := _inflate(zlib.decompressobj(window), data, at):
            yield View(form, plain, [0], [origin])


def _inflate(stream: "zlib._Decompress", data: bytes, at: int) -> bytes:
    """What comes out until the stream ends, breaks or is larger than MAX_INFLATED."""
    parts, size = [], 0
    while at < len(data) and not stream.eof and size < MAX_INFLATED:
        try:
            parts.append(stream.decompress(data[at : at + 512]))  # little at a time: what a broken piece held is lost
        except zlib.error:
            break
        size += len(parts[-1])
        at += 512
    return b"".join(parts)
