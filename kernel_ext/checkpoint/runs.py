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
_WINDOW = 4096
_MOST_WINDOWS = 12
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
    if values.dtype.kind == "f":
        sample = sample[numpy.isfinite(sample)]
    present = numpy.flatnonzero(numpy.bincount(values)) if values.dtype.str == "|u1" else numpy.unique(sample)
    if not 6 <= len(present) <= _MOST_LEVELS + 1:
        return None
    present = present.astype("f8")
    steps = numpy.diff(present)
    step = float(steps[steps > steps.max() * 1e-4].min())
    if step == 1 and values.dtype.str == "|u1":
        return values.astype("i2")
    for part in (1, 2, 3):
        whole = steps * part / step
        if float(numpy.abs(whole - numpy.rint(whole)).max()) < 0.3:
            scaled = (values.astype("f8") - present[0]) * (part / step)
            scaled[~(numpy.abs(scaled) < _MOST_STEPS)] = 0
            return numpy.rint(scaled).astype("i2")
    return None


def _signs(numpy: Any, levels: Any) -> Any:
    """A number for each run, and its number backwards; runs that say little are left out. Turning light into dark
    changes none."""
    nothing = numpy.zeros((2, 0), "u8")
    if len(levels) <= _DIFFERENCES:
        return nothing
    differences = levels[1:] - levels[:-1]
    count = len(differences) - _DIFFERENCES + 1
    changing = (differences[1:] != differences[:-1]).view("i1")
    turning = ((differences[1:] ^ differences[:-1]) < 0).view("i1")
    changes, turns = (sum(each[n : n + count] for n in range(_DIFFERENCES - 1)) for each in (changing, turning))
    telling = numpy.flatnonzero((changes >= 9) & (turns >= 2))
    apart = [differences[telling + n].astype("i8") for n in range(_DIFFERENCES)]
    distinct = sum((numpy.abs(apart[n]) != numpy.abs(apart[m])).view("i1") for n, m in _PAIRS)
    if not len(telling):
        return nothing
    apart = [each[distinct >= _DISTINCT].view("u8") for each in apart]
    found = []
    for factors in (_FACTORS, _FACTORS[::-1]):
        total = sum(each * numpy.uint64(factor) for factor, each in zip(factors, apart, strict=True))
        found.append(numpy.minimum(total, numpy.zeros(1, "u8") - total))
    return numpy.stack(found)


_PAIRS = ((0, 2), (1, 4), (3, 7), (5, 8), (6, 10), (9, 11), (2, 5), (4, 9))
_MOST_STEPS = 4096


def _smooth(numpy: Any, window: Any, stride: int) -> bool:
    """Neighbours are alike, as in pictures: of independent values the left side is twice the right one."""
    values = window.astype("f4")
    apart = values[stride:] - values[:-stride]
    return bool(float(numpy.vdot(apart, apart)) < 1.5 * len(values) * float(values.var()))


def of_image(numpy: Any, lines: Any) -> Any:
    """What is remembered of an image: `lines` are its sampled rows and columns, channel by channel, 1-D."""
    levels = _levels(numpy, lines)
    return numpy.zeros(0, "u8") if levels is None else numpy.sort(_signs(numpy, levels)[0])


def of_array(numpy: Any, flat: Any, smooth: bool) -> Any:
    """The runs of what may hold pixels, forwards and backwards; of windows of it where it is large."""
    size = flat.shape[0]
    if len(numpy.unique(flat[:: max(1, size // 4096)])) > _STRIDES[-1] * (_MOST_LEVELS + 1):
        return numpy.zeros(0, "u8")
    if size <= _WINDOW * _MOST_WINDOWS:
        windows = [flat]
    else:
        starts = numpy.linspace(0, size - _WINDOW, _MOST_WINDOWS).astype(int).tolist()
        windows = [flat[start : start + _WINDOW] for start in starts]
    pairs = [
        (window, stride) for window in windows for stride in _STRIDES if not smooth or _smooth(numpy, window, stride)
    ]
    lanes = [window[lane::stride] for window, stride in pairs for lane in range(stride)]
    found = [_signs(numpy, levels).ravel() for lane in lanes if (levels := _levels(numpy, lane)) is not None]
    return numpy.concatenate([*found, numpy.zeros(0, "u8")])


def shared(numpy: Any, found: Any, known: Any) -> int:
    """How many different runs are in both; `known` is sorted."""
    if not len(known):
        return 0
    found = numpy.sort(found)  # looking up what is sorted is ten times as fast
    nearest = known[numpy.searchsorted(known, found).clip(max=len(known) - 1)]
    return len(numpy.unique(found[nearest == found]))
