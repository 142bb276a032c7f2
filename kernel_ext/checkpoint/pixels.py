"""Which arrays have the shape of pictures. Nothing here imports numpy: an array brings it along.

The rule: `uint8` of 32 x 32 or more, as H x W, with one to four channels first or last, alone or in batches, is a
picture whatever it holds, unless it is one-hot (zeros, and at most a single one in each row or each column).
`uint16` of such a shape is one where neighbours are alike along both axes. No other type is one by its shape.
"""

from typing import Any

LEAST_SIDE = 32
_MOST_CHANNELS = 4
_LIKE = 0.5  # correlation of neighbours; of independent values it is 0, of pictures 0.8 and more
_MOST_SAMPLED = 1 << 18


def sides(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """The axes of height and width in an array of image shape; None of another."""
    count = len(shape)
    if count < 2:
        return None
    axes = (count - 3, count - 2) if count >= 3 and shape[-1] <= _MOST_CHANNELS else (count - 2, count - 1)
    return axes if min(shape[axis] for axis in axes) >= LEAST_SIDE else None


def is_picture(array: Any) -> bool:
    if array.dtype.kind == "u" and array.dtype.itemsize == 1:
        return sides(array.shape) is not None and not _one_hot(array)
    return array.dtype.kind == "u" and array.dtype.itemsize == 2 and sides(array.shape) is not None and coherent(array)


def _one_hot(array: Any) -> bool:
    if array.ndim != 2 or int(array.max()) > 1:
        return False
    return any(int(array.sum(axis=axis).max()) <= 1 for axis in (0, 1))


def plane(array: Any) -> Any:
    """The first picture's first channel, of an array of image shape."""
    axes = sides(array.shape)
    assert axes is not None
    height, width = axes
    return array[tuple(slice(None) if axis in (height, width) else 0 for axis in range(array.ndim))]


def coherent(array: Any) -> bool:
    """Neighbours along both axes are alike, as they are in pictures and not in tables."""
    one = plane(array)
    sampled = one[: max(LEAST_SIDE, _MOST_SAMPLED // max(1, one.shape[1]))].astype("f8")
    spread = 2 * float(sampled.var())
    if spread == 0:
        return False
    down = float(((sampled[1:] - sampled[:-1]) ** 2).mean())
    across = float(((sampled[:, 1:] - sampled[:, :-1]) ** 2).mean())
    return max(down, across) < (1 - _LIKE) * spread
