"""Where an object comes from: a library, which is imported again, or the session, which is saved by value."""

import builtins
import marshal
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["CellType", "CodeType", "FunctionType", "Homes", "ModuleType"]

_SESSION = "__main__"
_WITHOUT_REFERENCES = 2
_NEVER_FILES = frozenset({None, "built-in", "frozen"})


class Homes:
    """`namespace` is the session's. What is importable is decided by the modules and folders there are at the start:
    a module that a cell writes into its working folder is the session's own.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self._at_start = frozenset(sys.modules)
        here = Path.cwd()
        folders = (Path(entry) for entry in (*sys.path, sys.prefix, sys.base_prefix) if entry)
        self._folders = tuple(f"{folder}/" for folder in folders if folder != here and folder.is_absolute())

    def importable(self, module: ModuleType) -> bool:
        return self.name_of(module) is not None

    def name_of(self, module: ModuleType) -> str | None:
        """By which another kernel imports the same; None of the session's own. A few call themselves otherwise."""
        spec = getattr(module, "__spec__", None)
        names = (module.__name__, getattr(spec, "name", None))
        return next((name for name in names if name is not None and self._imports(name, module)), None)

    def _imports(self, name: str, module: Any) -> bool:
        if sys.modules.get(name) is not module or name == _SESSION:
            return False
        if name in self._at_start:
            return True
        spec = getattr(module, "__spec__", None)
        origin = getattr(module, "__file__", None) or getattr(spec, "origin", None)
        if spec is None and origin is None:
            return False
        return origin in _NEVER_FILES or str(origin).startswith(self._folders)

    def holds(self, obj: Any) -> bool:
        """Whether `obj`, a function or a class, is found again by its module and name."""
        name = getattr(obj, "__module__", None) or ""
        module = sys.modules.get(name) or _part_of_a_package(name)
        if module is None or not self._imports(name, module):
            return False
        found: Any = module
        for part in obj.__qualname__.split("."):
            found = getattr(found, part, None)
        return found is obj

    def owner(self, variables: dict[str, Any], known: Iterable[ModuleType] = ()) -> ModuleType | None:
        """The module whose variables these are; None of a dict that is only itself."""
        module = sys.modules.get(str(variables.get("__name__")))
        if isinstance(module, ModuleType) and vars(module) is variables:
            return module
        candidates = (*known, *(value for value in list(self.namespace.values()) if isinstance(value, ModuleType)))
        return next((module for module in candidates if vars(module) is variables), None)


def _part_of_a_package(name: str) -> Any:
    """A module that nobody has needed yet, of a package that is there: some classes only say that they are from it."""
    package, dot, _ = name.partition(".")
    if dot and package in sys.modules:
        with suppress(ImportError):
            return import_module(name)
    return None


class Variables:
    """Stands for the variables of `module` in a pickle."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __reduce__(self) -> tuple[Any, ...]:
        return vars, (self._module,)


def reduce_module(homes: Homes, module: ModuleType) -> tuple[Any, ...]:
    if vars(module) is homes.namespace:
        return import_again, (_SESSION,)
    if (name := homes.name_of(module)) is not None:
        return import_again, (name,)
    variables = {name: value for name, value in vars(module).items() if name != "__builtins__"}
    variables.pop("__loader__", None)
    variables.pop("__spec__", None)
    registered = sys.modules.get(module.__name__) is module
    return make_module, (module.__name__, registered), variables, None, None, fill_module


def reduce_function(homes: Homes, function: FunctionType) -> tuple[Any, ...]:
    variables: Any = function.__globals__
    if variables is not homes.namespace and (owner := homes.owner(variables)) is not None:
        variables = Variables(owner)
    state = {
        "__qualname__": _afresh(function.__qualname__),
        "__module__": _afresh(function.__module__),
        "__doc__": function.__doc__,
        "__defaults__": function.__defaults__,
        "__kwdefaults__": function.__kwdefaults__,
        "__annotations__": function.__annotations__,
    }
    arguments = (function.__code__, variables, _afresh(function.__name__), function.__closure__)
    return make_function, arguments, (function.__dict__ or None, state), None, None, fill_function


def _afresh(text: str | None) -> str | None:
    """A string of its own: whether it is the same object as another would else depend on where it was made, and with
    it the bytes of the pickle.
    """
    return "".join(text) if type(text) is str else text


def reduce_code(code: Any) -> Any:
    """In a form without references, which is the same wherever the code was made. NotImplemented of code that holds
    what no compiler puts there.
    """
    try:
        return marshal.loads, (marshal.dumps(code, _WITHOUT_REFERENCES),)
    except ValueError:
        return NotImplemented


def reduce_cell(cell: Any) -> tuple[Any, ...]:
    """The cell comes first and what is in it later: a function may stand in its own closure."""
    try:
        contents = cell.cell_contents
    except ValueError:
        return make_cell, ()
    return make_cell, (), (contents,), None, None, fill_cell


def import_again(name: str) -> ModuleType:
    __import__(name)
    return sys.modules[name]


def make_module(name: str, registered: bool) -> ModuleType:
    module = ModuleType(name)
    if registered:
        sys.modules[name] = module
    return module


def fill_module(module: ModuleType, variables: dict[str, Any]) -> None:
    vars(module).update(variables)
    vars(module)["__builtins__"] = builtins.__dict__


def make_function(code: Any, variables: dict[str, Any], name: str, closure: tuple[Any, ...] | None) -> FunctionType:
    return FunctionType(code, variables, name, None, closure)


def fill_function(function: FunctionType, state: tuple[dict[str, Any] | None, dict[str, Any]]) -> None:
    attributes, members = state
    if attributes:
        function.__dict__ = _interned(attributes)
    for name, value in members.items():
        setattr(function, name, _interned(value) if type(value) is dict else value)


def _interned(names: dict[Any, Any]) -> dict[Any, Any]:
    """As the compiler makes them; in place, because others may hold the dict."""
    items = list(names.items())
    names.clear()
    names.update((sys.intern(name) if type(name) is str else name, value) for name, value in items)
    return names


def make_cell() -> Any:
    return CellType()


def fill_cell(cell: Any, contents: tuple[Any]) -> None:
    (cell.cell_contents,) = contents
