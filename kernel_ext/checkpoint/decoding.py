"""Tells a guard of every image that Pillow decodes in this process. Never imports Pillow."""

import importlib.util
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_MODULE = "PIL.ImageFile"


def watch(noted: Callable[[Any], None]) -> None:
    """From now on; where Pillow is not imported yet, from its import on."""
    module = sys.modules.get(_MODULE)
    if module is not None:
        _wrap(module, noted)
    else:
        sys.meta_path.insert(0, _Finder(noted))


def _wrap(module: ModuleType, noted: Callable[[Any], None]) -> None:
    file = module.ImageFile
    load = file.load

    def load_and_note(self: Any) -> Any:
        undecoded = bool(self.tile) or self._im is None
        result = load(self)
        if undecoded:
            noted(self)
        return result

    file.load = load_and_note


class _Finder(MetaPathFinder):
    def __init__(self, noted: Callable[[Any], None]) -> None:
        self._noted = noted

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._noted)
        return spec


class _Loader(Loader):
    """The module's own loader, and then what watches it."""

    def __init__(self, loader: Loader, noted: Callable[[Any], None]) -> None:
        self._loader, self._noted = loader, noted

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _wrap(module, self._noted)
