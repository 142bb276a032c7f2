"""One object as a pickle: functions and classes of cells by value, arrays as views, images as what stands for them."""

import io
import pickle
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

import cloudpickle

from kernel_ext.checkpoint import arrays, frames, homes, knowns, leftovers
from kernel_ext.checkpoint.classes import reduce_class
from kernel_ext.checkpoint.homes import Homes
from kernel_ext.checkpoint.tombstone import Tombstone

CHUNK_BYTES: Final = 1 << 20
SMALL_BYTES: Final = 16 << 10
"""A buffer below this stays inside the stream: a chunk of its own would cost more than it saves."""
_PROTOCOL: Final = 5


class Stopped(BaseException):
    """A cell waits; what was being saved is saved later."""


class TooMuch(BaseException):
    """More than the budget allows."""


class Guard(Protocol):
    def replace(self, obj: Any) -> Tombstone | None:
        """What to keep instead of `obj`, where it is an image in any form."""

    def suspects(self, data: Any) -> str:
        """The kind of image that `data`, bytes-like, holds somewhere; "" where none."""


class Stream(io.RawIOBase):
    """What a pickler writes, in pieces; `check` is called before each with how many bytes there will be."""

    def __init__(self, check: Callable[[int], None]) -> None:
        self._check = check
        self.pieces: list[bytes] = []
        self.bytes = 0

    def write(self, data: Any) -> int:
        piece = data if isinstance(data, bytes) else bytes(data)
        self._check(self.bytes + len(piece))
        self.pieces.append(piece)
        self.bytes += len(piece)
        return len(piece)


class _Anchor:
    """Stands for a dict that every kernel has, before everything else in a stream."""

    def __init__(self, *reduced: Any) -> None:
        self._reduced = reduced

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reduced[0], self._reduced[1:]


session: dict[str, Any] = {}
"""The namespace that is being loaded into."""


def session_variables() -> dict[str, Any]:
    return session


_PICTURES: Final = (
    "io:BytesIO",
    "builtins:memoryview",
    "array:array",
    "numpy:ndarray",
    "PIL.Image:Image",
    "kernel_ext.blobs:Blob",
)
_OF_FRAMES: Final = (
    "pandas._libs.internals:Block",
    "pandas:Index",
    "pandas._libs.internals:BlockValuesRefs",
    "pandas.core.internals.managers:SingleBlockManager",
)


def _loaded(place: str) -> Any:
    """The class at "module:name"; None while nobody has imported the module."""
    module, _, name = place.partition(":")
    return getattr(sys.modules.get(module), name, None)


class Setting:
    """What is the same for every pickle of one save."""

    def __init__(self, home: Homes, guard: Guard) -> None:
        self.homes, self.guard = home, guard
        self.places = knowns.places()
        self.anchors = [
            (_Anchor(session_variables), home.namespace),
            (_Anchor(knowns.at, "builtins", "__dict__"), sys.modules["builtins"].__dict__),
            (_Anchor(knowns.at, "sys", "modules"), sys.modules),
        ]
        self.array: Any = _loaded("numpy:ndarray")
        self.record = _loaded("numpy:void")
        self.pictures = tuple(kind for kind in map(_loaded, _PICTURES) if kind is not None)
        self.block, self.index, self.references, self.series_manager = map(_loaded, _OF_FRAMES)
        self.fixed = {id(each): each for each in frames.of_classes()} if self.block is not None else {}
        self.routes: dict[type, Callable[[Pickler, Any], Any] | None] = {}

    def route(self, kind: type) -> "Callable[[Pickler, Any], Any] | None":
        """How objects of `kind` are reduced; None where pickle knows best."""
        if issubclass(kind, type):
            return Pickler.reduce_class
        if kind is homes.FunctionType:
            return Pickler.reduce_function
        if issubclass(kind, homes.ModuleType):
            return lambda pickler, module: homes.reduce_module(self.homes, module)
        if kind is homes.CodeType:
            return Pickler.reduce_code
        if kind is homes.CellType:
            return lambda pickler, cell: homes.reduce_cell(cell)
        if issubclass(kind, self.pictures):
            return Pickler.reduce_picture
        if self.record is not None and issubclass(kind, self.record):
            return lambda pickler, record: arrays.reduce_record(record)
        if self.block is not None:
            if issubclass(kind, self.block):
                return lambda pickler, block: frames.reduce_block(block)
            if issubclass(kind, self.index):
                return Pickler.reduce_index
            if kind is self.series_manager:
                return lambda pickler, manager: frames.reduce_series_manager(manager)
            if kind is self.references:
                return lambda pickler, references: frames.reduce_references(references)
        if (reducer := leftovers.REDUCERS.get(kind)) is not None:
            return lambda pickler, obj: reducer(obj)
        return None


def _outside(buffers: list[pickle.PickleBuffer]) -> Callable[[pickle.PickleBuffer], bool]:
    """Takes the large ones; a pickler that were its own callback would live on, and all it saw with it."""

    def stays_inside(buffer: pickle.PickleBuffer) -> bool:
        if memoryview(buffer).nbytes < SMALL_BYTES:
            return True
        buffers.append(buffer)
        return False

    return stays_inside


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """`memo` tells afterwards what was seen, `by_value` which functions and classes, `memories` what holds the memory
    of arrays; `fixed` is what nobody can change although its kind can. All {id: object}, but for `memo`.
    """

    def __init__(self, setting: Setting, stream: Stream) -> None:
        self.setting = setting
        self.buffers: list[pickle.PickleBuffer] = []
        self.by_value: dict[int, Any] = {}
        self.memories: dict[int, Any] = {}
        self.fixed: dict[int, Any] = dict(setting.fixed)
        self.tombstones: list[Tombstone] = []
        self.memo: Any
        super().__init__(stream, protocol=_PROTOCOL, buffer_callback=_outside(self.buffers))
        super().dump([anchor for anchor, _ in setting.anchors])
        stands_for = {id(anchor): dictionary for anchor, dictionary in setting.anchors}
        seen = ((number, stands_for.get(at, obj)) for at, (number, obj) in self.memo.copy().items())
        self.memo = {id(obj): (number, obj) for number, obj in seen}
        self.anchored = frozenset(self.memo.copy())

    def reducer_override(self, obj: Any) -> Any:
        setting, kind = self.setting, type(obj)
        if (place := setting.places.get(id(obj))) is not None:
            return knowns.at, place
        try:
            route = setting.routes[kind]
        except KeyError:
            route = setting.routes[kind] = setting.route(kind)
        return NotImplemented if route is None else route(self, obj)

    def reduce_class(self, kind: type) -> Any:
        if not kind.__flags__ & _MADE_AT_RUN_TIME or kind in _BUILTIN or self.setting.homes.holds(kind):
            return super().reducer_override(kind)
        self.by_value[id(kind)] = kind
        return reduce_class(self.setting.homes, kind)

    def reduce_function(self, function: Any) -> Any:
        if self.setting.homes.holds(function):
            return NotImplemented
        self.by_value[id(function)] = function
        return homes.reduce_function(self.setting.homes, function)

    def reduce_index(self, index: Any) -> Any:
        self.fixed.update((id(part), part) for part in frames.immutable_parts(index))
        return frames.reduce_index(index)

    def reduce_code(self, code: Any) -> Any:
        return homes.reduce_code(code)

    def reduce_picture(self, obj: Any) -> Any:
        if (tombstone := self.setting.guard.replace(obj)) is not None:
            self.tombstones.append(tombstone)
            return tombstone.__reduce__()
        if isinstance(obj, memoryview):
            return leftovers.REDUCERS[memoryview](obj)
        if self.setting.array is not None and isinstance(obj, self.setting.array):
            self.memories.update((id(each), each) for each in arrays.holders(obj))
            return arrays.reduce_array(obj)
        return NotImplemented


class PicklerThatAsks(Pickler):
    """Shows the guard every single object: for what a first pass found an image in."""

    def persistent_id(self, obj: Any) -> Any:
        if (tombstone := self.setting.guard.replace(obj)) is None:
            return None
        self.tombstones.append(tombstone)
        return tombstone.kind, tombstone.bytes, tombstone.how

    def reduce_code(self, code: Any) -> Any:
        """Constant by constant, each of which may be an image."""
        return NotImplemented


_MADE_AT_RUN_TIME: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_BUILTIN: Final = frozenset({*cloudpickle.cloudpickle._BUILTIN_TYPE_NAMES, type(None), type(...), type(NotImplemented)})


class Unpickler(pickle.Unpickler):
    def persistent_load(self, named: tuple[str, int, str]) -> Tombstone:
        return Tombstone(*named)
