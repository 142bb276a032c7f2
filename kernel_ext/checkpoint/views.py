"""Tells an image again by its looks: what it is like on sixteen by sixteen fields, whatever its size, light or turn.

Only what remains without the slow change over the whole picture is compared, so that no two ramps are alike.
"""

import functools
from collections.abc import Iterator
from typing import Any

from kernel_ext.checkpoint import pixels

FIELDS = 16
ALIKE = 0.9
ALIKE_AS_MASK = 0.65  # what is left of a picture where it was compared with a threshold
_TELLING = 0.03  # of the variance must remain
_MOST_OF_A_BATCH = 8
_CROPS = (1.0, 0.875, 0.75)


def _means(numpy: Any, plane: Any) -> Any:
    """Means of FIELDS x FIELDS fields; of a large plane of every few rows and columns."""
    down, across = (max(1, side // 256) for side in plane.shape)
    values = plane[::down, ::across].astype("f8")
    height, width = values.shape
    rows, columns = (numpy.linspace(0, side, FIELDS + 1).astype(int) for side in (height, width))
    sums = numpy.add.reduceat(numpy.add.reduceat(values, rows[:-1], axis=0), columns[:-1], axis=1)
    return sums / numpy.outer(numpy.diff(rows), numpy.diff(columns))


@functools.cache
def _basis(numpy: Any) -> Any:
    """An orthonormal basis of all that changes slowly: to the second power of place."""
    place = numpy.linspace(-1, 1, FIELDS)
    x, y = (each.ravel() for each in numpy.meshgrid(place, place))
    return numpy.linalg.qr(numpy.stack([x * 0 + 1, x, y, x * y, x * x, y * y], axis=1))[0]


def look(numpy: Any, plane: Any) -> Any:
    """Of unit length, FIELDS x FIELDS; None where nothing but a slow change is there."""
    fields = _means(numpy, plane)
    if not numpy.isfinite(fields).all():
        return None
    flat = fields.ravel() - fields.mean()
    basis = _basis(numpy)
    rest = flat - basis @ (basis.T @ flat)
    if float(rest @ rest) < _TELLING * float(flat @ flat) or not float(rest @ rest) > 0:
        return None
    return (rest / numpy.sqrt(rest @ rest)).reshape(FIELDS, FIELDS)


def of_image(numpy: Any, planes: Any) -> Any:
    """Looks of the channels and of their mean: of all of it and of its middle: (n, FIELDS * FIELDS)."""
    found = []
    for plane in (*planes, sum(plane.astype("f8") for plane in planes)):
        height, width = plane.shape
        for part in _CROPS:
            down, right = int(height * (1 - part) / 2), int(width * (1 - part) / 2)
            one = look(numpy, plane[down : height - down, right : width - right])
            if one is not None:
                found.append(one.ravel())
    return numpy.array(found, "f4").reshape(-1, FIELDS * FIELDS)


def alike(numpy: Any, plane: Any, looks: Any, least: float = ALIKE) -> bool:
    one = look(numpy, plane)
    if one is None or not len(looks):
        return False
    turned = [numpy.rot90(each, turn).ravel() for each in (one, one.T) for turn in range(4)]
    return float(numpy.abs(looks @ numpy.array(turned, "f4").T).max()) >= least


def planes(array: Any, sizes: set[tuple[int, int]]) -> Iterator[Any]:
    """The pictures that an array may be, as planes; `sizes` are heights and widths of images that were there."""
    if array.ndim >= 2 and pixels.sides(array.shape) is not None:
        yield from _of_image_shape(array)
    if array.ndim >= 2 and _fits(array.shape[-1], sizes):
        yield from _of_flat(array.reshape(-1, array.shape[-1]), sizes)
    if _fits(array.size, sizes):
        yield from _of_flat(array.reshape(1, -1), sizes)
    if array.ndim == 2 and array.shape[1] <= 4 and _fits(array.shape[0], sizes):
        yield from _of_flat(array.T, sizes)


def _fits(length: int, sizes: set[tuple[int, int]]) -> bool:
    return any(length % (height * width) == 0 and length <= 4 * height * width for height, width in sizes)


def _of_image_shape(array: Any) -> Iterator[Any]:
    if array.ndim == 2:
        yield array
    elif array.shape[-1] <= 4:
        many = array.reshape(-1, *array.shape[-3:])
        for one in many[:: max(1, len(many) // _MOST_OF_A_BATCH)]:
            yield from (one[..., channel] for channel in range(array.shape[-1]))
    else:
        many = array.reshape(-1, *array.shape[-2:])
        yield from many[:: max(1, len(many) // (4 * _MOST_OF_A_BATCH))]


def _of_flat(vectors: Any, sizes: set[tuple[int, int]]) -> Iterator[Any]:
    count, length = vectors.shape
    for height, width in sizes:
        channels, rest = divmod(length, height * width)
        if rest or not 1 <= channels <= 4:
            continue
        for vector in vectors[:: max(1, count // _MOST_OF_A_BATCH)]:
            yield vector[: height * width].reshape(height, width)
            if channels > 1:
                yield vector.reshape(height, width, channels)[..., 0]
