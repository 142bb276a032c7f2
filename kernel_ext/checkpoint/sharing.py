"""Which variables an object that cannot be pickled has a hold of: where those are loaded anew, it goes on with the old
ones. Seen as far as the garbage collector sees, up to a bound.
"""

import gc
from collections import deque
from collections.abc import Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, Final

_MOST_OBJECTS: Final = 20_000  # of one variable: some milliseconds
_SAME_FOR_ALL: Final = (type, ModuleType, FunctionType, BuiltinFunctionType, CodeType, int, float, complex, str, bytes)
_CONTAINERS: Final = (list, dict, set, tuple, deque)


def held(holders: Mapping[str, Any], others: Mapping[str, Any], namespace: dict[str, Any]) -> dict[str, set[str]]:
    """By holder, the `others` that it can change or see changed."""
    found = {}
    for holder, value in holders.items():
        inside = _inside(value, namespace)
        found[holder] = {name for name, other in others.items() if not inside.keys().isdisjoint(_parts(other))}
    return found


def _inside(value: Any, namespace: dict[str, Any]) -> dict[int, Any]:
    """What it leads to and can change, by id; not by way of the namespace, which it may know as any function does."""
    found: dict[int, Any] = {}
    waiting = [value]
    while waiting and len(found) < _MOST_OBJECTS:
        each = waiting.pop()
        if (
            each is not namespace
            and not issubclass(type(each), _SAME_FOR_ALL)
            and each is not None
            and id(each) not in found
        ):
            found[id(each)] = each
            waiting += gc.get_referents(each)
    return {number: each for number, each in found.items() if type(each) not in (tuple, frozenset)}


def _parts(value: Any) -> dict[int, Any]:
    """It, and what is in it by way of plain containers."""
    found: dict[int, Any] = {}
    waiting = [value]
    while waiting and len(found) < _MOST_OBJECTS:
        each = waiting.pop()
        if not issubclass(type(each), _SAME_FOR_ALL) and each is not None and id(each) not in found:
            found[id(each)] = each
            if type(each) in _CONTAINERS:
                waiting += gc.get_referents(each)
    return found
