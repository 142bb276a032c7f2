"""Where an object comes from: a library, which is imported again, or the session, which is saved by value."""

import builtins
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CellType, FunctionType, ModuleType
from typing import Any

__all__ = ["CellType", "FunctionType", "Homes", "ModuleType"]

_SESSION = "__main__"
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
        name = module.__name__
        if sys.modules.get(name) is not module or name == _SESSION:
            return False
        if name in self._at_start:
            return True
        spec = getattr(module, "__spec__", None)
        origin = getattr(module, "__file__", None) or getattr(spec, "origin", None)
        if spec is None and origin is None:
            return False
        if origin in _NEVER_FILES:
            return True
        return str(origin).startswith(self._folders)

    def holds(self, obj: Any) -> bool:
        """Whether `obj`, a function or a class, is found again by its module and name."""
        module = sys.modules.get(getattr(obj, "__module__", None) or "")
        if not isinstance(module, ModuleType) or not self.importable(module):
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
        candidates = (*known, *(value for value in self.namespace.values() if isinstance(value, ModuleType)))
        return next((module for module in candidates if vars(module) is variables), None)


class Variables:
    """Stands for the variables of `module` in a pickle."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __reduce__(self) -> tuple[Any, ...]:
        return vars, (self._module,)


def reduce_module(homes: Homes, module: ModuleType) -> tuple[Any, ...]:
    if vars(module) is homes.namespace:
        return import_again, (_SESSION,)
    if homes.importable(module):
        return import_again, (module.__name__,)
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
        "__name__": function.__name__,
        "__qualname__": function.__qualname__,
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "__defaults__": function.__defaults__,
        "__kwdefaults__": function.__kwdefaults__,
        "__annotations__": function.__annotations__,
    }
    arguments = (function.__code__, variables, function.__name__, function.__closure__)
    return make_function, arguments, (function.__dict__ or None, state), None, None, fill_function


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
        function.__dict__ = attributes
    for name, value in members.items():
        setattr(function, name, value)


def make_cell() -> Any:
    return CellType()


def fill_cell(cell: Any, contents: tuple[Any]) -> None:
    (cell.cell_contents,) = contents
