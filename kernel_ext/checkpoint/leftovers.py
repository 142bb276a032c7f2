"""Objects of the standard library that pickle refuses although they can be made again."""

import functools
import io
import pickle
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any


def _reduce_cached(wrapper: Any) -> tuple[Any, ...]:
    """Without what it remembers: only the time that saved is lost."""
    attributes = {name: value for name, value in vars(wrapper).items() if name != "cache_parameters"}
    return cache_again, (wrapper.cache_parameters(), wrapper.__wrapped__), attributes, None, None, fill_cached


def cache_again(parameters: dict[str, Any], function: Any) -> Any:
    return functools.lru_cache(**parameters)(function)


def fill_cached(wrapper: Any, attributes: dict[str, Any]) -> None:
    """Not what its function has by now."""
    parameters = wrapper.cache_parameters
    vars(wrapper).clear()
    vars(wrapper).update(attributes, cache_parameters=parameters)


def dead() -> None:
    """What a dead weak reference is: a call of it returns None."""


def reference(target: Any) -> Any:
    return dead if target is None else weakref.ref(target)


def window(memory: Any, shape: str, extent: tuple[int, ...], read_only: bool) -> memoryview:
    found = memoryview(memory)
    if found.format != shape or found.shape != extent:
        plain: Any = found.cast("B")
        found = plain if shape == "B" and len(extent) == 1 else plain.cast(shape, extent)
    return found.toreadonly() if read_only else found


def _whole(part: memoryview, whole: memoryview) -> bool:
    if part.nbytes != whole.nbytes:
        return False
    same = (part.shape, part.strides, part.format) == (whole.shape, whole.strides, whole.format)
    return same or (part.contiguous and whole.contiguous)


def _reduce_memoryview(found: memoryview) -> tuple[Any, ...]:
    """One of a part of something is a copy."""
    memory = found.obj
    held = memory if memory is not None and _whole(found, memoryview(memory)) else bytearray(found)
    return window, (held, found.format, found.shape, found.readonly)


def _reduce_file(file: Any) -> Any:
    raise pickle.PicklingError(f"{getattr(file, 'name', 'it')!r} is an open file; open it again")


def _refuse(what: str) -> Callable[[Any], Any]:
    def refuse(_: Any) -> Any:
        raise pickle.PicklingError(f"{what}; run its cell again")

    return refuse


def _reduce_weak_keys(mapping: Any) -> tuple[Any, ...]:
    return type(mapping), (dict(mapping.items()),)


REDUCERS: dict[type, Callable[[Any], Any]] = {
    functools._lru_cache_wrapper: _reduce_cached,
    type(threading.Lock()): lambda _: (threading.Lock, ()),
    type(threading.RLock()): lambda _: (threading.RLock, ()),
    threading.local: lambda each: (threading.local, (), dict(vars(each)) or None),
    weakref.ref: lambda each: (reference, (each(),)),
    weakref.WeakKeyDictionary: _reduce_weak_keys,
    weakref.WeakValueDictionary: lambda each: (weakref.WeakValueDictionary, (dict(each),)),
    memoryview: _reduce_memoryview,
    io.TextIOWrapper: _reduce_file,
    io.BufferedReader: _reduce_file,
    io.BufferedWriter: _reduce_file,
    io.BufferedRandom: _reduce_file,
    io.FileIO: _reduce_file,
    types.GeneratorType: _refuse("a running generator cannot be kept"),
    types.CoroutineType: _refuse("a running coroutine cannot be kept"),
    types.AsyncGeneratorType: _refuse("a running generator cannot be kept"),
}
