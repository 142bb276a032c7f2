"""Arrays that are views come back as views: of the same memory as the others.

Nothing here imports numpy: a session that has an array has imported it.
"""

import sys
from collections.abc import Iterator
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


def holders(array: Any) -> Iterator[Any]:
    """What holds the memory of `array`, down to what numpy knows only as a buffer: sharers of memory share one."""
    found = array
    while (found := getattr(found, "base", None)) is not None:
        if isinstance(found, memoryview):
            found = found.obj
        yield found


def reduce_array(array: Any) -> Any:
    """NotImplemented where the array's own way of being pickled is right: it owns its memory, or is of a class that
    says how to pickle it.
    """
    numpy = sys.modules["numpy"]
    kind = type(array)
    if kind.__reduce__ is not numpy.ndarray.__reduce__ or kind.__setstate__ is not numpy.ndarray.__setstate__:
        return NotImplemented
    root = owner(array)
    if root is array or not array.size or (offset := _offset(array, root)) is None:
        return NotImplemented
    layout = (array.dtype, array.shape, array.strides, offset, bool(array.flags.writeable))
    return view, (root, kind, *layout), getattr(array, "__dict__", None) or None, None, None, set_attributes


def reduce_record(record: Any) -> Any:
    """One row of a structured array, which is a view too."""
    if record.base is None or (offset := _offset(record, root := owner(record.base))) is None:
        return NotImplemented
    return row, (root, record.dtype, offset)


def _offset(array: Any, root: Any) -> int | None:
    """Where in `root` the memory of `array` begins, in bytes; None where it cannot be found again there."""
    numpy = sys.modules["numpy"]
    if type(root) is bytearray:
        root = numpy.frombuffer(root, numpy.uint8)
    elif type(root) is not numpy.ndarray or not (root.flags.c_contiguous or root.flags.f_contiguous):
        return None
    return int(array.__array_interface__["data"][0] - root.__array_interface__["data"][0])


def view(
    root: Any, kind: type, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, writeable: bool
) -> Any:
    numpy = sys.modules["numpy"]
    array = numpy.ndarray(shape, dtype, _in_order(root), offset, strides)
    if kind is not numpy.ndarray:
        array = array.view(kind)
    if not writeable:
        array.flags.writeable = False
    return array


def set_attributes(array: Any, attributes: dict[str, Any]) -> None:
    """Past the array's own way, which wants values too."""
    array.__dict__.update(attributes)


def row(root: Any, dtype: Any, offset: int) -> Any:
    return sys.modules["numpy"].ndarray((), dtype, _in_order(root), offset)[()]


def _in_order(root: Any) -> Any:
    return root if isinstance(root, bytearray) or root.flags.c_contiguous else root.T
