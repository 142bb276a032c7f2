"""Co-variables: variables that share an object which can change, or memory, are saved and loaded as one."""

import datetime
import decimal
import fractions
import pathlib
import re
import sys
import types
import uuid
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final

from kernel_ext.checkpoint.homes import Homes

_IMMUTABLE = (
    str, bytes, int, float, complex, bool, tuple, frozenset, range, slice, type(None), type(Ellipsis), re.Pattern,
    types.CodeType, types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.GetSetDescriptorType, types.MemberDescriptorType, types.ClassMethodDescriptorType, types.GenericAlias,
    types.UnionType, types.MethodType, types.FunctionType, type, types.MappingProxyType, property,
    classmethod, staticmethod,
    datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo, decimal.Decimal, fractions.Fraction,
    pathlib.PurePath, uuid.UUID, Enum,
)  # fmt: skip
_IMMUTABLE_OF = (
    ("numpy", "dtype"),
    ("numpy", "generic"),
    ("numpy", "ufunc"),
    ("pandas.api.extensions", "ExtensionDtype"),
    ("pandas.tseries.offsets", "BaseOffset"),
)


_AT_ONCE: Final = 1 << 16  # objects looked at in some 10 ms


class Mutability:
    """Which of the objects that a pickler saw can change. Functions and classes by value can: they come apart."""

    def __init__(self, homes: Homes) -> None:
        found = (getattr(sys.modules.get(module), name, None) for module, name in _IMMUTABLE_OF)
        self._immutable = (*_IMMUTABLE, *(kind for kind in found if kind is not None))
        self._row = getattr(sys.modules.get("numpy"), "void", ())
        self._kinds: dict[type, bool] = {}
        self._named: dict[type, bool] = {}
        self._homes = homes

    def of(self, pickler: Any, look: Callable[[], None]) -> dict[int, Any]:
        """{id: object}; they are held, so that no other gets the same id meanwhile. Calls `look` now and then."""
        kinds, anchored = self._kinds, pickler.anchored | pickler.setting.places.keys()
        found = {}
        for at, (number, obj) in pickler.memo.copy().items():
            if not number % _AT_ONCE:
                look()
            kind = type(obj)
            try:
                mutable = kinds[kind]
            except KeyError:
                mutable = kinds[kind] = issubclass(kind, self._row) or not issubclass(kind, self._immutable)
                self._named[kind] = any("__qualname__" in vars(each) for each in kind.__mro__)
            if mutable and not self._by_name(obj) and at not in anchored and at not in pickler.fixed:
                found[at] = obj
        seen = pickler.by_value | {at: obj for at, obj in pickler.memories.items() if at not in pickler.fixed}
        return found | {at: obj for at, obj in seen.items() if at not in anchored}

    def _by_name(self, obj: Any) -> bool:
        """Of a library: a module, or a function of a kind of its own."""
        if isinstance(obj, types.ModuleType):
            return self._homes.importable(obj)
        return self._named[type(obj)] and self._homes.holds(obj)


def groups(shared: Mapping[str, Iterable[int]]) -> list[list[str]]:
    """Names joined by the ids they share."""
    parent = {name: name for name in shared}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    first: dict[int, str] = {}
    for name, ids in shared.items():
        for each in ids:
            if (other := first.setdefault(each, name)) is not name:
                parent[root(name)] = root(other)
    joined: dict[str, list[str]] = {}
    for name in shared:
        joined.setdefault(root(name), []).append(name)
    return [sorted(names) for names in joined.values()]
