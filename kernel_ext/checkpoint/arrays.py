"""Arrays that are views come back as views: of the same memory as the others.

Nothing here imports numpy: a session that has an array has imported it.
"""

import sys
from typing import Any


def owner(array: Any) -> Any:
    """The array or other object that holds the memory of `array`; itself where it does."""
    numpy = sys.modules["numpy"]
    found = array
    while (base := getattr(found, "base", None)) is not None:
        if isinstance(base, memoryview):
            base = base.obj
        if not isinstance(base, numpy.ndarray) and getattr(base, "base", None) is None:
            return base if isinstance(base, bytearray) else found
        found = base
    return found


def reduce_array(array: Any) -> Any:
    """NotImplemented where the array's own way of being pickled is right: it owns its memory, or is of a class that
    says how to pickle it.
    """
    numpy = sys.modules["numpy"]
    kind = type(array)
    if kind.__reduce__ is not numpy.ndarray.__reduce__ or kind.__setstate__ is not numpy.ndarray.__setstate__:
        return NotImplemented
    root = owner(array)
    if root is array:
        return NotImplemented
    if isinstance(root, numpy.ndarray):
        start = root.__array_interface__["data"][0]
        whole = root.flags.c_contiguous or root.flags.f_contiguous
    else:
        start, whole = numpy.frombuffer(root, numpy.uint8).__array_interface__["data"][0], True
    offset = array.__array_interface__["data"][0] - start
    if not whole or not array.size or type(root) not in (numpy.ndarray, bytearray):
        return NotImplemented
    layout = (array.dtype, array.shape, array.strides, offset, bool(array.flags.writeable))
    kept = getattr(array, "__dict__", None) or None
    return view, (root, kind, *layout), kept


def view(
    root: Any, kind: type, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, writeable: bool
) -> Any:
    numpy = sys.modules["numpy"]
    memory = root
    if isinstance(root, numpy.ndarray) and not root.flags.c_contiguous:
        memory = root.T
    array = numpy.ndarray(shape, dtype, memory, offset, strides)
    if kind is not numpy.ndarray:
        array = array.view(kind)
    if not writeable:
        array.flags.writeable = False
    return array


def extent(array: Any) -> tuple[int, int]:
    """The addresses between which the memory of `array` lies."""
    numpy = sys.modules["numpy"]
    low, high = numpy.lib.array_utils.byte_bounds(array)
    return int(low), int(high)
