"""Looks for given bytes in every file under given folders, in every form in which they could have been written down.

The forms are undone, not guessed: whatever in a file reads as base64, hex, percent-encoding, escapes, UTF-16 or a
compressed stream is decoded, wherever it begins, and searched again, up to MAX_LAYERS deep. SQLite databases are also
read row by row with their write-ahead log applied, because a long value is scattered over pages in the file itself.

A test gives the needles (`needle`, `needles_of_image`) and expects `search` to return nothing. What could not be read
is in the result too: a file that nobody looked at is not clean.
"""

import contextlib
import os
import sqlite3
import stat
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.leak_forms import COMPRESSED, views

MIN_LENGTH = 16  # a shorter needle would be found by chance
MAX_LAYERS = 4
WINDOW_BYTES = 48
MAX_WINDOWS = 64


@dataclass(frozen=True, slots=True)
class Needle:
    """`name` says what leaked; the value itself is in no repr, so a failing test does not print it."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Leak:
    """`form` is how it was written, outermost first ("gzip > base64"); `offset` is where the outermost form begins.

    A file that could not be read has the form "unreadable" and no needle's name.
    """

    path: Path
    needle_name: str
    form: str
    offset: int


def needle(name: str, value: str | bytes) -> Needle:
    """A secret to look for as a whole: a token, a signature, a signed URL."""
    return Needle(name, value.encode() if isinstance(value, str) else value)


def needles_of_image(data: bytes, name: str = "image") -> list[Needle]:
    """Up to 64 stretches of 48 bytes, spread over the file, without those that many files have in common."""
    last = len(data) - WINDOW_BYTES
    starts = [last * index // (MAX_WINDOWS - 1) for index in range(MAX_WINDOWS)] if last > 0 else []
    windows = {start: data[start : start + WINDOW_BYTES] for start in starts}
    return [Needle(f"{name}@{start}", window) for start, window in windows.items() if len(set(window)) >= 24]


def search(roots: Iterable[Path], needles: Iterable[Needle], *, min_length: int = MIN_LENGTH) -> list[Leak]:
    """Every needle at most once per file and form. Symbolic links are not followed, but their targets' names are read;
    sockets, pipes and devices hold nothing."""
    sought = list(needles)
    for each in sought:
        if len(each.data) < min_length:
            raise ValueError(f"the needle {each.name!r} has {len(each.data)} bytes, fewer than {min_length}")
    if not sought:
        raise ValueError("nothing to look for")
    haystack = _Haystack(sought)
    leaks: list[Leak] = []
    for path in [path for root in roots for path in _files(root, leaks)]:
        leaks += [
            Leak(path, name, f"name of the file{_then(form)}", at) for name, form, at in haystack.find(_name(path))
        ]
        try:
            content = _content(path)
        except FileNotFoundError:
            continue  # gone meanwhile, and its content with it
        except OSError:
            leaks.append(Leak(path, "", "unreadable", 0))
            continue
        leaks += [Leak(path, name, form or "raw", at) for name, form, at in haystack.find(content)]
        if content.startswith(b"SQLite format 3\0"):
            leaks += [Leak(path, name, f"row{_then(form)}", 0) for name, form, _ in _in_rows(path, content, haystack)]
    return leaks


def _then(form: str) -> str:
    return f" > {form}" if form else ""


def _files(root: Path, leaks: list[Leak]) -> list[Path]:
    """Everything under `root`, itself included, listed before anything is read."""
    root.lstat()  # a root that does not exist is a mistake of the test's
    if root.is_symlink() or not root.is_dir():
        return [root]

    def unlisted(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            leaks.append(Leak(Path(error.filename), "", "unreadable", 0))

    return [Path(folder, name) for folder, inner, files in os.walk(root, onerror=unlisted) for name in (*inner, *files)]


def _name(path: Path) -> bytes:
    name = os.fsencode(path.name)
    return name + b"\n" + os.fsencode(os.readlink(path)) if path.is_symlink() else name


def _content(path: Path) -> bytes:
    mode = path.lstat().st_mode
    return path.read_bytes() if stat.S_ISREG(mode) else b""


def _in_rows(path: Path, content: bytes, haystack: "_Haystack") -> Iterator[tuple[str, str, int]]:
    """Long values as the database sees them: each page's latest version, and the file as it was before the log."""
    images = [content]
    with contextlib.suppress(FileNotFoundError):
        images.append(_with_log(content, path.with_name(path.name + "-wal").read_bytes()))
    for image in images:
        for value in _long_values(image):
            yield from haystack.find(value)


def _with_log(content: bytes, log: bytes) -> bytes:
    """The database with every frame of its write-ahead log applied (https://www.sqlite.org/fileformat2.html)."""
    if len(log) < 32:
        return content
    size = struct.unpack_from(">I", log, 8)[0]
    image = bytearray(content)
    for at in range(32, len(log) - 24 - size + 1, 24 + size):
        page = struct.unpack_from(">I", log, at)[0] - 1
        image.extend(bytes(max((page + 1) * size - len(image), 0)))
        image[page * size : (page + 1) * size] = log[at + 24 : at + 24 + size]
    return bytes(image)


def _long_values(image: bytes) -> Iterator[bytes]:
    """Values that may be split over pages (a shorter one was seen raw). A damaged table ends where it is damaged."""
    page_bytes = struct.unpack_from(">H", image, 16)[0]
    undivided = ((65536 if page_bytes == 1 else page_bytes) - 12) * 32 // 255 - 23
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(image[:18] + b"\1\1" + image[20:])  # in memory there is no log
        connection.text_factory = bytes
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            quoted = table.decode().replace('"', '""')
            for row in _rows(connection, f'SELECT * FROM "{quoted}"'):
                yield from (value for value in row if isinstance(value, bytes) and len(value) >= undivided)
    except sqlite3.DatabaseError:
        return
    finally:
        connection.close()


def _rows(connection: sqlite3.Connection, statement: str) -> Iterator[tuple[object, ...]]:
    try:
        yield from connection.execute(statement)
    except sqlite3.DatabaseError:
        return


class _Haystack:
    """Searches bytes, and everything they decode to."""

    def __init__(self, needles: list[Needle]) -> None:
        self._needles = needles
        self._shortest = min(len(each.data) for each in needles)

    def find(self, data: bytes, layers: int = MAX_LAYERS, done: tuple[str, ...] = ()) -> list[tuple[str, str, int]]:
        """[(needle's name, form, offset)]; `done` are the textual forms that were undone already."""
        if len(data) < self._shortest:
            return []
        found = {(each.name, ""): at for each in self._needles if (at := data.find(each.data)) >= 0}
        if layers:
            for view in views(data, self._shortest, done):
                inner = done if view.form in COMPRESSED else (*done, view.form)
                for name, form, at in self.find(view.data, layers - 1, inner):
                    found.setdefault((name, view.form + _then(form)), view.origin(at))
        return [(name, form, at) for (name, form), at in found.items()]
