"""What a namespace holds as a text: two are equal where nothing that a cell can do tells them apart.

Each object that can change gets a number where it is first met, so that the text also says what is shared.
"""

import builtins
import collections
import enum
import functools
import io
import itertools
import sys
import types
from collections.abc import Collection
from typing import Any

_HIDDEN = {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__builtins__"}
_OF_CLASSES = {
    "__dict__",
    "__weakref__",
    "__module__",
    "__abstractmethods__",
    "_abc_impl",
    "__slotnames__",
    "__firstlineno__",
}


def canonical(namespace: dict[str, Any], without: Collection[str] = ()) -> str:
    """Of the variables in their order, `without` some."""
    numbers: dict[int, int] = {}
    walk = _Walk(namespace, numbers)
    shown = (name for name in namespace if isinstance(name, str) and name not in _HIDDEN and name not in without)
    return "\n".join(f"{name} = {walk(namespace[name])}" for name in shown)


class _Walk:
    def __init__(self, namespace: dict[str, Any], numbers: dict[int, int]) -> None:
        self.namespace, self.numbers = namespace, numbers
        self.alive: list[Any] = []

    def __call__(self, obj: Any) -> str:
        if obj is self.namespace:
            return "<namespace>"
        if obj is vars(builtins):
            return "<builtins>"
        if obj is None or isinstance(obj, int | float | complex | str | bytes | range | slice):
            return f"{type(obj).__name__} {obj!r}"
        if any(f"{each.__module__}.{each.__name__}" == "numpy.generic" for each in type(obj).__mro__):
            return repr(obj)
        if isinstance(obj, tuple):
            return f"{type(obj).__qualname__}({', '.join(map(self, obj))})"
        if isinstance(obj, frozenset):
            return f"frozenset({', '.join(sorted(map(self, obj)))})"
        if isinstance(obj, types.ModuleType | types.BuiltinFunctionType) and not self._bound(obj):
            return f"<{obj.__name__}>"
        if isinstance(obj, type) and obj.__module__ != "__main__":
            return f"<{obj.__module__}.{obj.__qualname__}>"
        if isinstance(obj, types.FunctionType) and obj.__module__ != "__main__":
            return f"<{obj.__module__}.{obj.__qualname__}>"
        if isinstance(obj, types.MethodType | types.BuiltinFunctionType):
            return f"<{obj.__name__} of {self(obj.__self__)}>"
        if id(obj) in self.numbers:
            return f"#{self.numbers[id(obj)]}"
        self.numbers[id(obj)] = number = len(self.numbers)
        self.alive.append(obj)
        return f"#{number} {self._inside(obj)}"

    def _bound(self, obj: Any) -> bool:
        return not isinstance(getattr(obj, "__self__", None), types.ModuleType | type(None))

    def _inside(self, obj: Any) -> str:
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(obj, numpy.ndarray):
            return self._array(obj)
        if isinstance(obj, list | collections.deque | bytearray):
            return f"{type(obj).__name__}[{', '.join(map(self, obj))}]"
        if isinstance(obj, memoryview):
            return f"memoryview {obj.format} {obj.shape} {obj.tobytes()!r} of {self(obj.obj)}"
        if isinstance(obj, set):
            return f"set({', '.join(sorted(map(self, obj)))})"
        if isinstance(obj, dict):
            items = ", ".join(f"{self(key)}: {self(value)}" for key, value in obj.items())
            default = f" else {self(obj.default_factory)}" if isinstance(obj, collections.defaultdict) else ""
            return f"{type(obj).__name__}{{{items}{default}}}{self._attributes(obj)}"
        if isinstance(obj, types.FunctionType):
            return self._function(obj)
        if isinstance(obj, types.CellType):
            return self._cell(obj)
        if isinstance(obj, type):
            return self._class(obj)
        if isinstance(obj, enum.Enum):
            return f"{self(type(obj))}.{obj.name}"
        if isinstance(obj, staticmethod | classmethod):
            return f"{type(obj).__name__} {self(obj.__func__)}"
        if isinstance(obj, property):
            return f"property {self(obj.fget)} {self(obj.fset)}"
        if isinstance(obj, functools.partial):
            return f"partial {self(obj.func)} {self(obj.args)} {self(obj.keywords)}"
        if isinstance(obj, functools._lru_cache_wrapper):
            own = {name: value for name, value in vars(obj).items() if name != "cache_parameters"}
            return f"cached {obj.cache_parameters()} {self(own)}"
        if isinstance(obj, types.GeneratorType):
            return "a generator"
        if isinstance(obj, io.TextIOWrapper):
            return "an open file"
        if hasattr(obj, "__next__"):
            return self._iterator(obj)
        return f"{self(type(obj))}{self._attributes(obj)}{self._slots(obj)}"

    def _iterator(self, obj: Any) -> str:
        _, arguments, *state = obj.__reduce__()
        if type(arguments[0]) is list and not arguments[0]:  # of one at its end
            return f"{type(obj).__name__} at its end"
        return f"{type(obj).__name__} {self(tuple(arguments))} {self(tuple(state))}"

    def _attributes(self, obj: Any) -> str:
        held = getattr(obj, "__dict__", None)
        return f" with {self(held)}" if held else ""

    def _slots(self, obj: Any) -> str:
        names = itertools.chain.from_iterable(vars(each).get("__slots__", ()) for each in type(obj).__mro__)
        held = {name: getattr(obj, name) for name in names if hasattr(obj, name) and not name.startswith("__")}
        return "".join(f" .{name} {self(value)}" for name, value in held.items())

    def _function(self, obj: Any) -> str:
        code = obj.__code__
        where = "" if obj.__globals__ is self.namespace else " elsewhere"
        parts = (
            obj.__defaults__,
            obj.__kwdefaults__,
            obj.__closure__,
            obj.__dict__ or None,
            obj.__annotations__ or None,
        )
        text = f"def {obj.__qualname__}{where} {code.co_code.hex()} {code.co_names} {code.co_varnames} {obj.__doc__!r} "
        return text + " ".join(map(self, parts))

    def _cell(self, obj: Any) -> str:
        try:
            return f"cell {self(obj.cell_contents)}"
        except ValueError:
            return "cell"

    def _class(self, obj: Any) -> str:
        own = {name: value for name, value in vars(obj).items() if name not in _OF_CLASSES}
        own = {name: value for name, value in own.items() if not isinstance(value, types.MemberDescriptorType)}
        inside = ", ".join(f"{name}: {self(value)}" for name, value in sorted(own.items()))
        return f"class {obj.__qualname__}({', '.join(map(self, obj.__bases__))}) {{{inside}}}"

    def _array(self, obj: Any) -> str:
        """Where in which memory: of memory only the numbers are compared."""
        root = obj
        while (base := getattr(root, "base", None)) is not None:
            base = base.obj if isinstance(base, memoryview) else base
            if not hasattr(base, "__array_interface__"):
                root = sys.modules["numpy"].frombuffer(base, "u1")
                break
            root = base
        start = root.__array_interface__["data"][0]
        self.numbers.setdefault(start, len(self.numbers))
        offset = obj.__array_interface__["data"][0] - start
        values = self(obj.tolist()) if obj.dtype == object else obj.tolist()
        layout = f"{obj.dtype} {obj.shape} {obj.strides} +{offset} {'w' if obj.flags.writeable else 'r'}"
        return f"{type(obj).__name__} {layout} in #{self.numbers[start]} {values}"
