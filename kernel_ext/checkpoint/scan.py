"""One look at one variable: its pickle, and what it shares, reaches and needs."""

import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pickle import PicklingError
from types import FunctionType, ModuleType
from typing import Any, Final

from kernel_ext.checkpoint.pickling import Pickler, PicklerThatAsks, Setting, Stopped, Stream, TooMuch
from kernel_ext.checkpoint.touched import Reach, Wild, of_code
from kernel_ext.checkpoint.units import Mutability
from kernel_ext.checkpoint.watch import Watch

_DEPTH: Final = 8_000  # a fifth of what a stack of 8 MiB bears

_HOLD_NOTHING: Final = frozenset({"_hashlib", "_io", "_socket", "re", "socket", "sqlite3", "ssl"})
"""Modules whose objects cannot be kept, but cannot change a variable either."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Of a variable that could not be pickled, `lost` says why; what it reaches is then not known."""

    reach: Reach
    shared: Mapping[int, Any] = field(default_factory=dict)
    draws: bool = False
    pickled: "Pickled | None" = None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Pickled:
    stream: Stream
    buffers: list[Any]
    tombstones: list[Any]


def reason(error: BaseException) -> str:
    """One line for a person."""
    text = str(error).strip().partition("\n")[0][:200]
    if isinstance(error, PicklingError | TooMuch) and text:
        return text
    return f"{type(error).__name__}: {text}".rstrip(": ")


def pickled(setting: Setting, values: dict[str, Any], watch: Watch, asks: bool = False) -> tuple[Pickled, Pickler]:
    """Raises whatever the objects' own code raises, and Stopped and TooMuch."""
    pickler = (PicklerThatAsks if asks else Pickler)(setting, stream := Stream(watch.look))
    with watch.step(), _deeper():
        for pair in sorted(values.items(), key=_code_first):
            pickler.dump(pair)
    return Pickled(stream, [buffer.raw() for buffer in pickler.buffers], pickler.tombstones), pickler


def _holds(pickler: Pickler, value: Any, namespace: dict[str, Any]) -> bool:
    """Whether anything in `value` refers to `namespace` itself, but for functions, which all do."""
    if value is namespace:
        return True
    seen = (obj for at, (_, obj) in pickler.memo.copy().items() if at not in pickler.anchored)
    others = (obj for obj in seen if not isinstance(obj, FunctionType | ModuleType))
    return any(each is namespace for obj in others for each in gc.get_referents(obj))


@contextmanager
def _deeper() -> Iterator[None]:
    """A chain of some thousand objects is pickled too."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _code_first(pair: tuple[str, Any]) -> tuple[bool, str]:
    """Where objects are loaded by code of their own, that finds the functions and classes it names."""
    name, value = pair
    return not isinstance(value, type | FunctionType | ModuleType), name


def scan(setting: Setting, mutability: Mutability, name: str, value: Any, watch: Watch, got_out: bool) -> Scan:
    """`got_out` is whether a cell can have kept the namespace itself, by which a variable then reaches every other."""
    try:
        done, pickler = pickled(setting, {name: value}, watch)
        shared = mutability.of(pickler, watch.look)
        draws = any(type(each).__module__.startswith("matplotlib") for each in shared.values())
        reach = of_code(iter(pickler.by_value.values()), setting.homes.namespace)
        if got_out and _holds(pickler, value, setting.homes.namespace):
            reach = Reach(reach.names, wild=max(reach.wild, Wild.NOW))
        return Scan(reach, shared, draws, done)
    except Stopped:
        raise
    except BaseException as error:
        alone = type(value).__module__ in _HOLD_NOTHING
        return Scan(Reach(frozenset(), wild=Wild.NO if alone else Wild.NOW), lost=reason(error))
