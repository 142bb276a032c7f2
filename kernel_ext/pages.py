"""Gives back the pages that a kernel touched and left as they were.

To use an object is to write to it, for its reference count goes up, and down again: half of the pages that a kernel
copies of its template's end as they began. So a template puts its objects on top of a sealed file that holds the same,
and a kernel lets go of each page of its own that equals the file's: what it sees there next is the file again.

The two steps that must not be interrupted by the interpreter are in C (pages.c), compiled into the image. Without them,
on a host without a compiler, all works, on more pages.
"""

import ctypes
import fcntl
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

_LIBRARY = f"{__file__.rpartition('/')[0]}.pages.so"
_SLICE_BYTES = 4 * 1024 * 1024  # a millisecond's work
# Python keeps small objects in arenas of this size (Objects/obmalloc.c). What the C library's heap holds is left alone:
# other libraries' threads write there, and ask no interpreter.
_ARENA_BYTES = 1024 * 1024
_HEAP_OF_A_THREAD_BYTES = 64 * 1024 * 1024  # where the C library begins one (malloc/arena.c)
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0\s*$")
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


@dataclass(frozen=True, slots=True)
class Area:
    """Memory from `start`, and from `origin` the same as it was when it was remembered, to be read only."""

    start: int
    origin: int
    length: int


class _Pages:
    """pages.c, called with the interpreter's lock held."""

    def __init__(self) -> None:
        address, size = ctypes.c_void_p, ctypes.c_ulong
        mine, libc = ctypes.PyDLL(_LIBRARY), ctypes.PyDLL(None, use_errno=True)
        self.remember, self.give_back, self._mmap = mine.remember, mine.give_back, libc.mmap
        self.remember.argtypes = [address, size, ctypes.c_int, ctypes.c_long]
        self.give_back.argtypes, self.give_back.restype = [address, address, size, size], ctypes.c_long
        self._mmap.argtypes = [address, size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
        self._mmap.restype = address

    def see(self, length: int, file: int, offset: int) -> int:
        """Where so much of `file` can be read. Private, so that it cannot be made a way to write to the file either."""
        found: int = self._mmap(None, length, mmap.PROT_READ, mmap.MAP_PRIVATE, file, offset)
        if found == ctypes.c_void_p(-1).value:
            raise OSError("a template's memory cannot be mapped twice")
        return found


class Origin:
    """What a template's memory held when it was remembered, and every kernel forked from it can go back to."""

    def __init__(self, pages: _Pages, areas: Iterable[Area]) -> None:
        self._pages, self._areas = pages, tuple(areas)

    def give_back(self) -> Iterator[int]:
        """Slice by slice: how many pages equal their origin now. No other thread may run while it is in one."""
        for area in self._areas:
            for done in range(0, area.length, _SLICE_BYTES):
                length = min(_SLICE_BYTES, area.length - done)
                yield self._pages.give_back(area.start + done, area.origin + done, length, mmap.PAGESIZE)


def remember() -> Origin | None:
    """The memory of this process as it is now. It has one thread.

    None where the image holds no compiled pages.c, or the host has no room for such a file or allows none.
    """
    if not Path(_LIBRARY).exists():
        return None
    try:
        file = os.memfd_create("template", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return None
    try:
        return _remembered_in(file, _Pages())
    except OSError:  # what is in the file by now stays there, and everything else where it was
        return None
    finally:
        os.close(file)  # its mappings keep it


def _remembered_in(file: int, pages: _Pages) -> Origin:
    found = list(_arenas(Path("/proc/self/smaps").read_text(encoding="ascii").splitlines()))
    os.ftruncate(file, sum(length for _, length in found))
    starts = dict(zip(accumulate((length for _, length in found), initial=0), found, strict=False))
    for offset, (start, length) in starts.items():
        if pages.remember(start, length, file, offset) != 0:
            raise OSError(f"{length} bytes of a template cannot be remembered")
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)  # nobody can change what its siblings see
    areas = [Area(start, pages.see(length, file, offset), length) for offset, (start, length) in starts.items()]
    return Origin(pages, areas)


def _arenas(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Start and length of what may hold Python's objects, of the lines of smaps; of what is not in use little is."""
    start = length = 0
    for line in lines:
        if found := _MAPPING.match(line):
            start, end = int(found[1], 16), int(found[2], 16)
            length = end - start
        elif line[:1].isdigit() or line[:1] in "abcdef":
            length = 0
        elif line.startswith("Rss:"):
            is_used = int(line.split()[1]) * 1024 * 2 >= length
            if is_used and length >= _ARENA_BYTES and start % _HEAP_OF_A_THREAD_BYTES:
                yield start, length
