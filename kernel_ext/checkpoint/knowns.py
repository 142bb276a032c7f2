"""Objects that every kernel has one of: saved by where they are found, never by value."""

import sys
from typing import Any

_PLACES = (
    ("sys", "stdout"),
    ("sys", "stderr"),
    ("sys", "stdin"),
    ("sys", "__stdout__"),
    ("sys", "__stderr__"),
    ("sys", "modules"),
    ("os", "environ"),
    ("random", "_inst"),
    ("dataclasses", "MISSING"),
    ("dataclasses", "KW_ONLY"),
    ("dataclasses", "_HAS_DEFAULT_FACTORY"),
    ("builtins", "__dict__"),
    ("numpy.random.mtrand", "_rand"),
)


def places() -> dict[int, tuple[str, str]]:
    """{id: (module, attribute)} of what is loaded now; of the servers' objects too."""
    found = {}
    for module, attribute in _PLACES:
        if (holder := sys.modules.get(module)) is not None and hasattr(holder, attribute):
            found[id(getattr(holder, attribute))] = module, attribute
    ours = sys.modules.get("kernel_ext")
    for attribute, value in vars(ours).items() if ours else ():
        if type(value).__module__ == "kernel_ext.servers":
            found[id(value)] = "kernel_ext", attribute
    found.pop(id(None), None)
    shell = sys.modules.get("IPython.core.getipython")
    if shell is not None and (running := shell.get_ipython()) is not None:
        found[id(running)] = "IPython.core.getipython", "get_ipython()"
    return found


def at(module: str, attribute: str) -> Any:
    __import__(module)
    found = getattr(sys.modules[module], attribute.removesuffix("()"))
    return found() if attribute.endswith("()") else found
