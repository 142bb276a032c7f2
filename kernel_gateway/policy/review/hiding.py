"""The ways in which code hides what it does that show in a single word of it: modules, names, attributes, texts."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernel_gateway.policy.review.vocabulary import (
    CLIENT_MODULE,
    CLIENT_VALUES,
    HARMLESS_DUNDERS,
    HIDING_ATTRIBUTES,
    HIDING_MODULES,
    HIDING_NAMES,
    QUIET_FROM,
    TEXT_EVALUATORS,
)

if TYPE_CHECKING:
    from kernel_gateway.policy.review.reader import Reader


def look(reader: Reader, nodes: Sequence[ast.AST]) -> None:
    asked = _asked(nodes)
    for node in nodes:
        if isinstance(node, ast.Name):
            _name(reader, node, asked)
        elif isinstance(node, ast.Attribute):
            if not (node.attr == "__class__" and node in asked):
                attribute(reader, node.attr, node)
            if node.attr == "modules" and _module_of(reader, node.value) == "sys":
                reader.mark("namespace", node, "sys.modules")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                module(reader, alias.name, node)
        elif isinstance(node, ast.ImportFrom):
            _import_from(reader, node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            _text(reader, node, node.func)


def module(reader: Reader, name: str, node: ast.AST, part: str = "") -> None:
    """An import of `name`, or of `part` from it."""
    reader.imports[name] = None
    for denied in reader.denied:
        if name == denied or name.startswith(f"{denied}.") or (part and f"{name}.{part}" == denied):
            reader.mark("denied_module", node, denied)
    top = name.partition(".")[0]
    if name.startswith(f"{CLIENT_MODULE}."):
        reader.mark("private", node, name)
    elif top in HIDING_MODULES and not ({(name, part), (name, "")} & QUIET_FROM):
        reader.mark(HIDING_MODULES[top], node, name)


def attribute(reader: Reader, name: str, node: ast.AST) -> None:
    """`name` looked up on any object."""
    if name in HIDING_ATTRIBUTES:
        reader.mark(HIDING_ATTRIBUTES[name], node, name)
    elif name.startswith("__") and name.endswith("__") and name not in HARMLESS_DUNDERS:
        reader.mark("dunder", node, name)


def _asked(nodes: Sequence[ast.AST]) -> set[ast.AST]:
    """What is only asked for its name (`x.__class__.__name__`), or only searched in (`"x" in globals()`)."""
    found: set[ast.AST] = set()
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in ("__name__", "__qualname__"):
            found.add(node.value)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[-1], ast.In | ast.NotIn):
            last = node.comparators[-1]
            if isinstance(last, ast.Call) and not last.args:
                found.add(last.func)
    return found


def _module_of(reader: Reader, node: ast.AST) -> str:
    return reader.names.modules.get(node.id, "") if isinstance(node, ast.Name) else ""


def _name(reader: Reader, node: ast.Name, asked: set[ast.AST]) -> None:
    name = node.id
    if not isinstance(node.ctx, ast.Load):
        return
    if name in HIDING_NAMES:
        if reader.names.is_free(name) and not (node in asked and HIDING_NAMES[name] == "namespace"):
            reader.mark(HIDING_NAMES[name], node, name)
    elif name in ("getattr", "setattr", "delattr", "__import__"):
        if reader.names.is_free(name) and node not in reader.names.called:
            reader.mark("dynamic_import" if name == "__import__" else "client_escapes", node, name)
    elif name.startswith("__") and name.endswith("__") and name != "__":
        attribute(reader, name, node)


def _import_from(reader: Reader, node: ast.ImportFrom) -> None:
    name = "." * node.level + (node.module or "")
    for alias in node.names:
        module(reader, name, node, alias.name)
        if name == CLIENT_MODULE and alias.name not in reader.names.client | CLIENT_VALUES | {"*"}:
            reader.mark("unknown_operation", node, f"{name}.{alias.name}")
        if alias.name == "*" and name != CLIENT_MODULE:
            reader.star = True
            reader.mark("star_import", node, name)
        if alias.name in HIDING_NAMES and name != "re":
            reader.mark(HIDING_NAMES[alias.name], node, alias.name)
        attribute(reader, alias.name, node)
        if (name, alias.name) == ("sys", "modules"):
            reader.mark("namespace", node, "sys.modules")


def _text(reader: Reader, node: ast.Call, function: ast.Attribute) -> None:
    """Methods that find code, or the inside of objects, in a text."""
    if function.attr in TEXT_EVALUATORS and node.args:
        told = reader.names.texts(node.args[0])
        if any("@" in each and "(" in each for each in told) or (function.attr == "eval" and not told):
            reader.mark("code_from_text", node, f".{function.attr}")
    elif function.attr in ("format", "format_map") and any("__" in each for each in reader.names.texts(function.value)):
        reader.mark("format_trick", node)
