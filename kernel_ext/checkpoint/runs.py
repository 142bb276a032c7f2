"""Tells pixels again by runs of thirteen of them, whatever was added to them or multiplied with.

Between neighbours of a run are differences, in steps of the smallest one there is; what is the same in an image and in
an array are the differences, so the array holds those pixels. Ordinary numbers have no twelve differences in a row like
an image's: runs with few distinct ones (ramps, flat areas, codes) do not count.
"""

from typing import Any

_DIFFERENCES = 12
_DISTINCT = 5
_STRIDES = (1, 3, 4)
"""From one value of a channel to its next, where channels are apart and where they are interleaved."""
_MOST_LEVELS = 256
_SAMPLED = 2048
_WINDOW = 6144
_MOST_WINDOWS = 24
ENOUGH = 8
"""So many different runs are no accident."""
_FACTORS = [
    0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F,
    0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3, 0x1D8E4E27C47D124F, 0xEB44ACCAB455D165,
    0x9C6E6877736C46E3, 0x2F8C0B1DF7C4A0B7,
]  # fmt: skip


def _levels(numpy: Any, values: Any) -> Any:
    """The values as whole numbers of the smallest step between them; None where they are no picture's."""
    sample = values[:: max(1, len(values) // _SAMPLED)] if values.dtype.itemsize > 1 else values
    if values.dtype.kind == "f" and not numpy.isfinite(sample).all():
        sample = sample[numpy.isfinite(sample)]
    present = numpy.unique(sample).astype("f8")
    if not 6 <= len(present) <= _MOST_LEVELS + 1:
        return None
    steps = numpy.diff(present)
    step = float(steps[steps > steps.max() * 1e-4].min())
    for part in (1, 2, 3):
        whole = steps * part / step
        if float(numpy.abs(whole - numpy.rint(whole)).max()) < 0.3:
            scaled = (values.astype("f8") - present[0]) * (part / step)
            scaled[~(numpy.abs(scaled) < 1e6)] = 0
            return numpy.rint(scaled).astype("i8")
    return None


def _signs(numpy: Any, levels: Any, stride: int) -> Any:
    """A number for each run; runs that say little are left out. Turning light into dark changes none."""
    if len(levels) < stride * (_DIFFERENCES + 1):
        return numpy.zeros(0, "u8")
    differences = levels[stride:] - levels[:-stride]
    count = len(differences) - stride * (_DIFFERENCES - 1)
    apart = [differences[stride * n : stride * n + count] for n in range(_DIFFERENCES)]
    changes = sum((apart[n + 1] != apart[n]).view("i1") for n in range(_DIFFERENCES - 1))
    turns = sum(((apart[n + 1] ^ apart[n]) < 0).view("i1") for n in range(_DIFFERENCES - 1))
    telling = numpy.flatnonzero((changes >= 9) & (turns >= 2))
    apart = [each[telling] for each in apart]
    total = numpy.zeros(len(telling), "u8")
    for factor, each in zip(_FACTORS, apart, strict=True):
        total += each.view("u8") * numpy.uint64(factor)
    turned = numpy.zeros(len(telling), "u8") - total
    distinct = sum((numpy.abs(apart[n]) != numpy.abs(apart[m])).view("i1") for n, m in _PAIRS)
    return numpy.minimum(total, turned)[distinct >= _DISTINCT]


_PAIRS = ((0, 2), (1, 4), (3, 7), (5, 8), (6, 10), (9, 11), (2, 5), (4, 9))


def of_image(numpy: Any, lines: Any) -> Any:
    """What is remembered of an image: `lines` are its sampled rows and columns, channel by channel, 1-D."""
    levels = _levels(numpy, lines)
    return numpy.zeros(0, "u8") if levels is None else numpy.unique(_signs(numpy, levels, 1))


def of_array(numpy: Any, flat: Any) -> Any:
    """The runs of what may hold pixels, forwards and backwards; of windows of it where it is large."""
    size = flat.shape[0]
    starts = [0] if size <= _WINDOW * _MOST_WINDOWS else None
    length = size if starts else _WINDOW
    found = []
    for start in starts or numpy.linspace(0, size - _WINDOW, _MOST_WINDOWS).astype(int).tolist():
        window = flat[start : start + length]
        for stride in _STRIDES:
            lanes = window if stride == 1 else window[: len(window) // stride * stride]
            for levels in _lanes(numpy, lanes, stride):
                found += [_signs(numpy, levels, 1), _signs(numpy, levels[::-1], 1)]
    return numpy.unique(numpy.concatenate([*found, numpy.zeros(0, "u8")]))


def _lanes(numpy: Any, window: Any, stride: int) -> Any:
    for lane in range(stride):
        if (levels := _levels(numpy, window[lane::stride])) is not None:
            yield levels
