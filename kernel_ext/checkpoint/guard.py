"""Keeps image bytes out of stored state."""

import array
import contextlib
import ctypes
import io
import mmap
import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from kernel_ext.checkpoint import pixels, search
from kernel_ext.checkpoint.taint import Taint
from kernel_ext.checkpoint.tombstone import Tombstone

_LEAST_BYTES: Final = 64
_HEAD_ITEMS: Final = 4096
_PIXELS: Final = "pixels"
_UNSEEN: Final = "it could not be looked at; make it again, without an image in it"
_PLAIN = frozenset({type(None), bool, float, complex, type, type(len), type(lambda: None)})


class Guard:
    """Of one session. No method raises for what an object or its bytes are."""

    def __init__(self) -> None:
        self._blobs: set[int] = set()
        self._taint = Taint()

    def noted_blob(self, body: bytes) -> None:
        """`Blob.read` brought this."""
        if search.find(body):
            self._blobs.add(len(body))

    def noted_image(self, image: Any) -> None:
        """Pillow decoded this."""
        with contextlib.suppress(Exception):
            self._taint.remember(image)

    def suspects(self, data: bytes | bytearray | memoryview) -> str:
        """The kind of the first image found in an outgoing stream or buffer; "" where there is none."""
        try:
            return self._find(data if isinstance(data, bytes) else bytes(data))
        except Exception:
            return "unknown"

    def replace(self, obj: object) -> Tombstone | None:
        """What stands for `obj` where it is an image in any form."""
        kind = type(obj)
        if kind in _PLAIN:
            return None
        try:
            look = _LOOKS.get(kind) or _look_for(obj)
            return look(self, obj) if look is not None else None
        except Exception:
            return Tombstone(kind.__name__, _size_of(obj), _UNSEEN)

    def _find(self, data: bytes) -> str:
        return search.find(data, self._known) if self._taint else search.find(data)

    def _known(self, data: bytes) -> str:
        return _PIXELS if self._taint.in_bytes(data) else ""

    def _bytes(self, obj: Any) -> Tombstone | None:
        size = len(obj) if isinstance(obj, bytes | bytearray) else memoryview(obj).nbytes
        return self._encoded(bytes(obj) if size >= _LEAST_BYTES else b"")

    def _encoded(self, data: bytes) -> Tombstone | None:
        if len(data) < _LEAST_BYTES or not (kind := self._find(data)):
            return None
        return Tombstone(
            kind, len(data), "decoded" if kind == _PIXELS else "blob" if len(data) in self._blobs else "made"
        )

    def _text(self, obj: str) -> Tombstone | None:
        return self._encoded(obj.encode("utf-8", "surrogatepass")) if len(obj) >= _LEAST_BYTES else None

    def _number(self, obj: int) -> Tombstone | None:
        size = (obj.bit_length() + 7) // 8
        return self._encoded(abs(obj).to_bytes(size, "big")) if size >= _LEAST_BYTES else None

    def _file(self, obj: io.BytesIO | io.StringIO) -> Tombstone | None:
        value = obj.getvalue()
        return self._text(value) if isinstance(value, str) else self._encoded(value)

    def _items(self, obj: Iterable[Any]) -> Tombstone | None:
        """The bytes of a file one by one, or in pieces."""
        items = list(obj)
        first = items[0] if items else None
        if self._taint and type(first) in (int, float, list, tuple) and self._taint.in_list(items):
            return Tombstone(_PIXELS, sys.getsizeof(items), "decoded")
        if type(first) is int:
            if len(items) < _LEAST_BYTES or not all(
                type(item) is int and 0 <= item < 256 for item in items[:_HEAD_ITEMS]
            ):
                return None
            return self._encoded(bytes(item if type(item) is int and 0 <= item < 256 else 0 for item in items))
        if type(first) in (bytes, str) and len(items) > 1 and all(type(item) is type(first) for item in items):
            pieces = items if isinstance(first, bytes) else [item.encode("utf-8", "surrogatepass") for item in items]
            return self._encoded(b"".join(pieces))
        return None

    def _numbers(self, obj: "array.array[Any]") -> Tombstone | None:
        if found := self._encoded(obj.tobytes()):
            return found
        return self._items(obj.tolist()) if obj.itemsize > 1 and obj.typecode not in "uw" else None

    def _array(self, obj: Any) -> Tombstone | None:
        if obj.dtype.kind in "OV" or not obj.size:
            return None
        if pixels.is_picture(obj):
            return Tombstone(_PIXELS, obj.nbytes, "decoded" if self._taint else "made")
        if self._taint.holds(obj):
            return Tombstone(_PIXELS, obj.nbytes, "decoded")
        if obj.dtype.itemsize == 1 or obj.dtype.kind in "SU":
            return self._encoded(obj.tobytes())
        return self._encoded_in_numbers(obj)

    def _encoded_in_numbers(self, obj: Any) -> Tombstone | None:
        if obj.size < _LEAST_BYTES or obj.dtype.kind not in "iuf":
            return None
        head = obj.flat[:_HEAD_ITEMS]
        narrow = head.astype("u1", copy=False) if float(head.min()) >= 0 and float(head.max()) < 256 else None
        if narrow is None or not (narrow == head).all() or not (kind := search.find(narrow.tobytes())):
            return None
        return Tombstone(kind, obj.nbytes, "made")

    def _image(self, obj: Any) -> Tombstone:
        width, height = obj.size
        return Tombstone("PIL.Image", width * height * len(obj.getbands()), "decoded" if self._taint else "made")


_LOOKS: dict[type, Callable[[Guard, Any], Tombstone | None]] = {
    bytes: Guard._bytes,
    bytearray: Guard._bytes,
    memoryview: Guard._bytes,
    mmap.mmap: Guard._bytes,
    str: Guard._text,
    int: Guard._number,
    io.BytesIO: Guard._file,
    io.StringIO: Guard._file,
    list: Guard._items,
    tuple: Guard._items,
    deque: Guard._items,
    array.array: Guard._numbers,
}


def _look_for(obj: object) -> Callable[[Guard, Any], Tombstone | None] | None:
    """Of what derives from a known type, and of types in packages that may not be there."""
    if (numpy := sys.modules.get("numpy")) is not None and isinstance(obj, numpy.ndarray):
        return Guard._array
    if (pillow := sys.modules.get("PIL.Image")) is not None and isinstance(obj, pillow.Image):
        return Guard._image
    if isinstance(obj, ctypes.Array):
        return Guard._bytes
    return next((look for known, look in _LOOKS.items() if isinstance(obj, known)), None)


def _size_of(obj: object) -> int:
    try:
        return sys.getsizeof(obj, 0)
    except Exception:
        return 0
