"""Remembers what images came into the kernel, as sketches that show nothing, and tells what derives from them."""

import re
import sys
from collections import deque
from typing import Any

from kernel_ext.checkpoint import pixels, runs, texts, views

_MOST_IMAGES = 64
_MOST_RUNS = 32_768  # of an image
_SKETCHED = 1 << 18  # samples of an image, in rows and again in columns
_LOOK_SIDE = 64
# Of Pillow's Resampling and Transpose: single lines as they are, means of fields, columns as rows.
_NEAREST, _BOX, _TRANSPOSED = 0, 4, 5
_LEAST_VALUES = 512
_LEAST_PIXELS = 32 * 32
_LONG = 2048  # of a bytes object in a pickle

_LISTS = re.compile(rb"(?:K[\s\S]){32,}")
_TUPLES = re.compile(rb"(?:K[\s\S]K[\s\S]K[\s\S]\x87\x94){32,}")
_IS_NUMBER, _IS_FLOAT = (bytes(byte == ord(opcode) for byte in range(256)) for opcode in "KG")
_MANY_NUMBERS, _MANY_FLOATS = 20, 6  # of the samples of a stretch
_FLOATS = re.compile(rb"(?:G[\s\S]{8}){64,}")


class Taint:
    def __init__(self) -> None:
        self._waiting: deque[tuple[tuple[int, int], list[Any], list[Any]]] = deque(maxlen=_MOST_IMAGES)
        self._looks: deque[tuple[tuple[int, int], Any]] = deque(maxlen=_MOST_IMAGES)
        self._runs: deque[Any] = deque(maxlen=_MOST_IMAGES)
        self._sizes: set[tuple[int, int]] = set()
        self._all: tuple[Any, Any] | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting or self._looks)

    def remember(self, image: Any) -> None:
        """A Pillow image that was decoded. Until numpy is there its sketch is a few of its lines, in this process."""
        width, height = image.size
        if width * height < _LEAST_PIXELS:
            return
        if len(self._sizes) < _MOST_IMAGES:
            self._sizes.add((height, width))
        plain = image if image.mode in ("L", "RGB") else image.convert("F" if image.mode[0] in "IF" else "RGB")
        shown = (plain, plain.convert("L")) if plain.mode == "RGB" else (plain,)
        every = max(1, width * height * len(plain.getbands()) // _SKETCHED)
        lines = [one.resize((width, max(1, height // every)), _NEAREST) for one in shown]
        lines += [one.resize((max(1, width // every), height), _NEAREST).transpose(_TRANSPOSED) for one in shown]
        small = [one.resize((_LOOK_SIDE, _LOOK_SIDE), _BOX) for one in shown]
        self._waiting.append(((height, width), small, lines))

    def holds(self, array: Any, smooth: bool = False) -> bool:
        """Whether an array of numbers derives from an image that was decoded here. `smooth`: look for runs only where
        neighbours are alike, which is quick for bytes of any kind and passes over noise.
        """
        numpy = sys.modules.get("numpy")
        if not self or numpy is None or array.size < _LEAST_VALUES:
            return False
        if array.dtype.kind == "c":
            array = array.real
        if array.dtype.kind not in "biuf":
            return False
        looks, known = self._sketches(numpy)
        seen = views.planes(array, self._sizes) if array.size >= _LEAST_PIXELS and len(looks) else ()
        if any(views.alike(numpy, plane, looks) for plane in seen):
            return True
        if array.dtype.kind == "b":
            mask = array.ndim == 2 and array.shape in self._sizes and pixels.coherent(array)
            of_this_size = [each for size, each in self._looks if size == array.shape]
            return mask and any(views.alike(numpy, array, each, views.ALIKE_AS_MASK) for each in of_this_size)
        found = runs.of_array(numpy, array.ravel(order="K"), smooth)
        return runs.shared(numpy, found, known) >= runs.ENOUGH

    def in_bytes(self, data: bytes) -> bool:
        """Whether bytes hold pixels: as they are, as objects of a pickle, as its numbers."""
        numpy = sys.modules.get("numpy")
        if not self or numpy is None or len(data) < _LEAST_VALUES:
            return False
        every = numpy.frombuffer(data, "u1")
        objects = [every[start : start + length] for start, length in self._objects(numpy, every)]
        if any(self.holds(part, smooth=True) for part in (every, *objects)):
            return True
        numbers = b"".join(texts.dense(data, _IS_NUMBER, _MANY_NUMBERS))
        parts = [_joined(numpy, _LISTS, numbers, 2), _joined(numpy, _TUPLES, numbers, 8)]
        floats = b"".join(
            match[0] for each in texts.dense(data, _IS_FLOAT, _MANY_FLOATS) for match in _FLOATS.finditer(each)
        )
        parts.append(numpy.frombuffer(floats, "u1").reshape(-1, 9)[:, 1:].copy().view(">f8").ravel())
        return any(self.holds(part) for part in parts)

    def in_list(self, items: list[Any]) -> bool:
        """Whether a list of numbers, or of lists of them, holds pixels."""
        numpy = sys.modules.get("numpy")
        first = items[0]
        if numpy is None or (
            isinstance(first, list | tuple) and not (first and isinstance(first[0], int | float | list | tuple))
        ):
            return False
        if len(items) < pixels.LEAST_SIDE:
            return False
        try:
            return self.holds(numpy.array(items))
        except (ValueError, OverflowError, TypeError):  # lists of unequal length, or of other things
            return False

    def _objects(self, numpy: Any, every: Any) -> list[tuple[int, int]]:
        """Where long bytes objects are in a pickle (BINBYTES), and what looks like one."""
        at = numpy.flatnonzero(every[:-8] == ord("B"))
        size = sum(every[at + 1 + n].astype("i8") << (8 * n) for n in range(4))
        good = (size >= _LONG) & (at + 5 + size <= len(every))
        return list(zip((at[good] + 5).tolist(), size[good].tolist(), strict=True))[:64]

    def _sketches(self, numpy: Any) -> tuple[Any, Any]:
        while self._waiting:
            size, small, lines = self._waiting.popleft()
            bands = [numpy.asarray(band) for one in small for band in one.split()]
            rows = numpy.concatenate([numpy.asarray(band).ravel() for line in lines for band in line.split()])
            self._looks.append((size, views.of_image(numpy, bands)))
            known = runs.of_image(numpy, rows)
            self._runs.append(known[:: max(1, len(known) // _MOST_RUNS)])
            self._all = None
        if self._all is None:
            self._all = (
                numpy.concatenate([each for _, each in self._looks]),
                numpy.sort(numpy.concatenate(list(self._runs))),
            )
        return self._all


def _joined(numpy: Any, pattern: "re.Pattern[bytes]", data: bytes, width: int) -> Any:
    found = b"".join(match[0] for match in pattern.finditer(data))
    return numpy.frombuffer(found, "u1").reshape(-1, width)[:, 1:6:2].ravel()
