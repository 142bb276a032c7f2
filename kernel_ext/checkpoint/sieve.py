"""Finds any of many short marks in one pass over megabytes.

Where numpy is (it is never imported here) at 2 GB/s: bytes two by two through a table of the pairs that marks hold,
at an even place of the mark and at an odd one, so that half the offsets do. Without it by one regular expression.
"""

import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

_WINDOW_BYTES = 1 << 21
_FEW = 48  # candidates that are sooner compared one by one
_MOST_HITS = 20_000  # in one search: data full of marks (a file of them, say) is no reason to search for ever


def _rarity(pair: bytes) -> int:
    """The rarer a pair is in ordinary data, the larger."""
    return sum(0 if byte in (0, 1, 2, 255) else 2 if chr(byte).isalnum() or byte in b" \n" else 4 for byte in pair)


class Sieve:
    def __init__(self, marks: Sequence[bytes]) -> None:
        """Marks have three bytes or more."""
        self._marks = tuple(dict.fromkeys(marks))
        longest_first = sorted(self._marks, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(re.escape(mark) for mark in longest_first), re.DOTALL)
        self._places: dict[int, list[tuple[bytes, int]]] = {}
        for mark in self._marks:
            for odd in (0, 1):
                at = max(range(odd, len(mark) - 1, 2), key=lambda place: _rarity(mark[place : place + 2]))
                self._places.setdefault(mark[at] | mark[at + 1] << 8, []).append((mark, at))
        self._table: Any = None

    def hits(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Offsets and marks, of each window in no order; overlapping marks only with numpy."""
        numpy = sys.modules.get("numpy")
        found = self._by_pattern(data) if numpy is None or len(data) < 256 else self._by_table(numpy, data)
        for number, hit in enumerate(found):
            if number >= _MOST_HITS:
                return
            yield hit

    def _by_pattern(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        for match in self._pattern.finditer(data):
            yield match.start(), match[0]

    def _by_table(self, numpy: Any, data: bytes) -> Iterator[tuple[int, bytes]]:
        if self._table is None:
            self._table = numpy.zeros(1 << 16, numpy.bool_)
            self._table[list(self._places)] = True
        every = numpy.frombuffer(data, numpy.uint8)
        pairs = numpy.frombuffer(data, "<u2", len(data) // 2)
        for first in range(0, len(pairs), _WINDOW_BYTES // 2):
            window = pairs[first : first + _WINDOW_BYTES // 2]
            where = numpy.flatnonzero(self._table.take(window))
            if where.size <= _FEW:
                for each in where.tolist():
                    for mark, at in self._places[int(window[each])]:
                        start = 2 * (first + each) - at
                        if start >= 0 and data.startswith(mark, start):
                            yield start, mark
            elif where.size:
                yield from self._compared(numpy, every, where + first, window[where])

    def _compared(self, numpy: Any, every: Any, where: Any, values: Any) -> Iterator[tuple[int, bytes]]:
        order = numpy.argsort(values, kind="stable")
        values, where = values[order], where[order]
        bounds = [0, *(numpy.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
        for low, high in itertools.pairwise(bounds):
            for mark, at in self._places[int(values[low])]:
                starts = where[low:high] * 2 - at
                starts = starts[(starts >= 0) & (starts + len(mark) <= len(every))]
                for place in (*range(at), *range(at + 2, len(mark))):
                    if not starts.size:
                        break
                    starts = starts[every[starts + place] == mark[place]]
                for start in starts.tolist():
                    yield start, mark
