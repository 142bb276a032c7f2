"""One object per server with one real function per operation, generated from the manifest.

The functions are Python source, compiled and kept in linecache, so that signatures, completion, `?` and `??` and
tracebacks work as for any other function.
"""

import keyword
import linecache
from collections.abc import Mapping, Sequence
from typing import Any

from kernel_ext.client import call_tool

_ASKED_BY_HELP = "getdoc"  # a method that IPython's `?` calls on anything that seems to have it


class Server:
    """The operations of one server, as functions, which are compiled when the first is asked for."""

    def __init__(self, name: str, title: str, operations: Sequence[Mapping[str, Any]]) -> None:
        names = ", ".join(operation["name"] for operation in operations) or "nothing that you may use"
        self.__name__, self.__doc__ = name, f"{title}: {names}"
        self._operations: Sequence[Mapping[str, Any]] = operations

    def _compile(self) -> None:
        operations, self._operations = self._operations, ()
        if operations:
            self.__dict__.update(_functions(self.__name__, operations))

    def __getattr__(self, name: str) -> Any:
        """The gateway knows why an operation is not here: a call comes back as `denied` or `not_found`."""
        if self._operations and not name.startswith("_"):
            self._compile()
            return getattr(self, name)
        if name.startswith("_") or not name.isidentifier() or name == _ASKED_BY_HELP:
            raise AttributeError(f"`{self.__name__}` has no operation `{name}`")
        operation = f"{self.__name__}:{name}"

        def call(**arguments: Any) -> Any:
            __tracebackhide__ = True
            return _call(operation, arguments)

        call.__name__ = call.__qualname__ = name
        call.__doc__ = f"{operation} is not among the operations that you may use; a call says why."
        return call

    def __repr__(self) -> str:
        return f"<{self.__doc__}>"

    def __dir__(self) -> list[str]:
        self._compile()
        return [name for name in self.__dict__ if not name.startswith("_")]


def build(manifest: Mapping[str, Any]) -> dict[str, Server]:
    """The server objects by name."""
    servers = manifest["servers"].items()
    for _, server in servers:
        for operation in server["operations"]:
            for name in (operation["name"], *(parameter["name"] for parameter in operation["parameters"])):
                if not name.isidentifier() or keyword.iskeyword(name):
                    raise ValueError(f"`{name}` is not a Python name")  # it would be source
    return {name: Server(name, server["title"], server["operations"]) for name, server in servers}


def _functions(name: str, operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    source = "\n\n".join(function_source(operation) for operation in operations)
    filename = f"<{name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"__name__": name, "_call": _call}
    exec(compile(source, filename, "exec"), namespace)  # noqa: S102
    return {operation["name"]: namespace[operation["name"]] for operation in operations}


def _call(operation: str, arguments: dict[str, Any]) -> Any:
    """An argument left at None is not sent."""
    __tracebackhide__ = True
    return call_tool(operation, {name: value for name, value in arguments.items() if value is not None})


def function_source(operation: Mapping[str, Any]) -> str:
    """`operation` as a Python function with keyword parameters."""
    parameters = sorted(operation["parameters"], key=lambda parameter: not parameter["required"])
    signature = ", ".join(_parameter(parameter) for parameter in parameters)
    star = "*, " if parameters else ""
    values = ", ".join(f"{parameter['name']!r}: {parameter['name']}" for parameter in parameters)
    lines = [
        f"def {operation['name']}({star}{signature}):",
        *(f"    {line}".rstrip() for line in _docstring(operation, parameters)),
        f"    return _call({operation['id']!r}, {{{values}}})",
    ]
    return "\n".join(lines) + "\n"


def _parameter(parameter: Mapping[str, Any]) -> str:
    name, annotation = parameter["name"], parameter["annotation"]
    return f"{name}: {annotation!r}" if parameter["required"] else f"{name}: {annotation + ' | None'!r} = None"


def _docstring(operation: Mapping[str, Any], parameters: list[Mapping[str, Any]]) -> list[str]:
    lines = [operation["summary"]]
    if operation["description"]:
        lines += ["", operation["description"]]
    if parameters:
        lines += ["", "Parameters", "----------"]
    for parameter in parameters:
        lines.append(f"{parameter['name']} : {parameter['annotation']}{'' if parameter['required'] else ', optional'}")
        lines += [f"    {line}" for line in [*parameter["description"].splitlines(), *parameter["choices"]]]
    if operation["returns"]:
        lines += ["", "Returns", "-------", *operation["returns"]]
    lines += ["", f"{operation['id']}  effect: {operation['effect']}  scope: {operation['scope']}"]
    text = "\n".join(lines).replace("\\", "\\\\").replace('"""', "'''")
    return f'"""{text}\n"""'.splitlines()
