"""One call expression: what it calls, how often, and what it hands on."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kernel_gateway.policy.plan import ANY
from kernel_gateway.policy.review import hiding
from kernel_gateway.policy.review.names import Ref, Refs
from kernel_gateway.policy.review.repeats import repeats
from kernel_gateway.policy.review.source import children, root
from kernel_gateway.policy.review.vocabulary import EAGER, GIVEN, HIDING_NAMES, LOOKING, ONCE

if TYPE_CHECKING:
    from kernel_gateway.policy.review.reader import Reader

MAX_PAIRS = 1_000  # of lists for `call_tools` that are read in one cell; what has more counts as not known
_ATTRIBUTES = ("getattr", "setattr", "delattr")


def call(reader: Reader, node: ast.Call, times: int) -> None:
    arguments = [*node.args, *(each.value for each in node.keywords)]
    refs = reader.names.refs(node.func)
    if refs:
        _of_refs(reader, node, refs, times)
        reader.visit_all(arguments, times)
    elif isinstance(node.func, ast.Name):
        _of_name(reader, node, node.func.id, arguments, times)
    elif isinstance(node.func, ast.Attribute):
        _of_method(reader, node, node.func, arguments, times)
    elif isinstance(node.func, ast.Lambda):
        reader.visit_all([node.func.args, node.func.body, *arguments], times)
    else:
        reader.visit_all([node.func, *arguments], times)


def used_up(reader: Reader, nodes: Iterable[ast.AST], times: int) -> None:
    """Visited by what keeps nothing of it: whatever it could call later is called by now."""
    carries, pending = reader.body.carries, reader.pending
    reader.body.carries, reader.pending = set(), set()
    reader.visit_all(nodes, times)
    reader.body.carries, reader.pending = carries, pending


def _of_refs(reader: Reader, node: ast.Call, refs: Refs, times: int) -> None:
    found_in = root(node.func)
    if not isinstance(found_in, ast.Name):
        reader.visit_all([found_in] if isinstance(found_in, ast.NamedExpr) else children(found_in), times)
        if isinstance(found_in, ast.Call):
            reader.note("dynamic_attribute", found_in)
    for ref in refs:
        if ref.kind == "operation":
            _operation(reader, node, ref.name, times, [(each.arg, each.value) for each in node.keywords])
        elif ref.kind == "tool":
            _tool(reader, node, ref.name, times)
        elif ref.kind == "inside":
            reader.note("private", node, ref.name)
        elif ref.kind == "def":
            _defined(reader, ref, ref.name, times)


def _defined(reader: Reader, ref: Ref, name: str, times: int) -> None:
    reader.add(ref, times)
    if name in reader.lazy:
        reader.pending.add(ref)


def _operation(
    reader: Reader, node: ast.AST, operation: str, times: int, given: Iterable[tuple[str | None, ast.expr]]
) -> None:
    if reader.names.catalog.get(operation) is None:
        reader.note("unknown_operation", node, operation)
        return
    reader.add(Ref("operation", operation), times)
    reader.site(operation, {name: value for name, value in given if name is not None})


def _tool(reader: Reader, node: ast.Call, tool: str, times: int) -> None:
    first = node.args[0] if node.args else next((each.value for each in node.keywords if each.arg), None)
    if first is None:
        return
    if tool == "call_tools":
        if not _pairs(reader, first, times):
            reader.note("dynamic_operation", node)
        return
    second = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "arguments")]
    _named(reader, first, second[0] if second else None, times)


def _named(reader: Reader, name: ast.AST, arguments: ast.AST | None, times: int) -> None:
    """A call by the operation's id; each of several that it may be is called as often."""
    operations = reader.names.texts(name)
    if not operations:
        reader.note("dynamic_operation", name)
    pairs = zip(arguments.keys, arguments.values, strict=True) if isinstance(arguments, ast.Dict) else ()
    given = [(key.value, value) for key, value in pairs if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    for operation in sorted(operations):
        _operation(reader, name, operation, times, given)


def _pairs(reader: Reader, node: ast.AST, times: int, depth: int = 8) -> bool:
    """Notes each pair of a list of calls; False where it is not plain which they are."""
    names = reader.names
    reader.pairs += 1
    if depth == 0 or reader.pairs > MAX_PAIRS:
        return False
    if isinstance(node, ast.List | ast.Tuple):
        return all(_pair(reader, each, times) for each in node.elts)
    if isinstance(node, ast.ListComp | ast.GeneratorExp):
        return _pair(reader, node.elt, reader.times(times, repeats(node, names)))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _pairs(reader, node.left, times, depth - 1) and _pairs(reader, node.right, times, depth - 1)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _pairs(reader, node.left, reader.most, depth - 1)
    if not isinstance(node, ast.Name) or node.id in names.reshaped:
        return False
    given, appended = names.values.get(node.id, []), names.appended.get(node.id, [])
    whole = 0 < len(given) == names.bound[node.id]
    return (
        whole
        and all(_pairs(reader, each, times, depth - 1) for each in given)
        and all(_pair(reader, each, reader.most) for each in appended)
    )


def _pair(reader: Reader, node: ast.AST, times: int) -> bool:
    reader.pairs += 1
    if reader.pairs > MAX_PAIRS or not isinstance(node, ast.Tuple | ast.List) or len(node.elts) != 2:
        return False
    _named(reader, node.elts[0], node.elts[1], times)
    return True


def _of_name(reader: Reader, node: ast.Call, name: str, arguments: list[ast.expr], times: int) -> None:
    names = reader.names
    if not names.is_free(name):
        reader.visit_all([node.func, *arguments], times)
    elif name in _ATTRIBUTES:
        _by_text(reader, node, name, arguments, times)
    elif name in LOOKING:
        used_up(reader, [each for each in arguments if not names.plain(each)], times)
    elif name == "vars" and not arguments:
        reader.note("namespace", node, name)
    elif name in ("map", "filter") and len(node.args) >= 2:
        _given_function(
            reader, node, 0, repeats(node.args[1], names) if name == "filter" else repeats(node, names), times
        )
    elif name == "__import__":
        _imported(reader, node, arguments, times)
    elif name in EAGER:
        used_up(reader, arguments, times)
    else:
        if name not in GIVEN and name not in HIDING_NAMES and not name.startswith("_") and not reader.star:
            reader.note("unknown_name", node, name)
        reader.visit_all([node.func, *arguments], times)


def _of_method(reader: Reader, node: ast.Call, function: ast.Attribute, arguments: list[ast.expr], times: int) -> None:
    names, base = reader.names, function.value
    _open(reader, function)
    module = names.modules.get(base.id, "") if isinstance(base, ast.Name) else ""
    if function.attr in names.methods:
        reader.visit(base, times)
        _defined(reader, Ref("method", function.attr), f".{function.attr}", times)
        reader.visit_all(arguments, times)
        return
    if not names.plain(base):
        reader.visit(base, times)
    if function.attr in ONCE:
        _given_function(reader, node, ONCE[function.attr], 1, times)
    elif function.attr == "map" and len(node.args) >= 2:
        _given_function(reader, node, 0, repeats(ast.Call(ast.Name("map"), node.args, []), names), times)
    elif module == "importlib" and function.attr in ("import_module", "reload"):
        _imported(reader, node, arguments, times)
    elif module == "inspect" and function.attr in LOOKING:
        reader.visit_all([each for each in arguments if not names.plain(each)], times)
    elif function.attr in EAGER:
        used_up(reader, arguments, times)
    else:
        reader.visit_all(arguments, times)


def _given_function(reader: Reader, node: ast.Call, place: int, count: int | None, times: int) -> None:
    """A function that is handed to one that calls it a known number of times."""
    function = node.args[place] if place < len(node.args) else None
    others = [each for each in node.args if each is not function] + [each.value for each in node.keywords]
    often = reader.times(times, count)
    if isinstance(function, ast.Lambda):
        reader.visit_all([function.args, function.body], often)
    elif function is not None and (refs := reader.names.plain(function)):
        reader.hand_on(refs, node, often)
        reader.pending |= {ref for ref in refs if ref.kind in ("def", "operation")}
    elif isinstance(function, ast.Attribute) and function.attr in reader.names.methods:
        reader.visit(function.value, times)
        reader.add(Ref("method", function.attr), often)
    elif function is not None:
        reader.visit(function, times)
    reader.visit_all(others, times)


def _by_text(reader: Reader, node: ast.Call, name: str, arguments: list[ast.expr], times: int) -> None:
    """getattr and its like: of data it is honest, of the client it is not."""
    refs = reader.names.refs(arguments[0]) if arguments else frozenset()
    if refs and name != "getattr" and any(ref.kind != "def" for ref in refs):
        reader.note("client_changed", node, *sorted(ref.name for ref in refs)[:1])
        return
    told = reader.names.texts(arguments[1]) if len(arguments) > 1 else frozenset()
    if not told:
        reader.note("dynamic_attribute", node)
    for each in told:
        hiding.attribute(reader, each, node)
    _open(reader, node)
    if literal := reader.names.refs(node):
        reader.hand_on(literal, node)
        arguments = arguments[1:]
    reader.visit_all(arguments, times)


def _imported(reader: Reader, node: ast.Call, arguments: list[ast.expr], times: int) -> None:
    told = reader.names.texts(arguments[0]) if arguments else frozenset()
    for each in told:
        hiding.module(reader, each, node)
    if not told:
        reader.note("dynamic_import", node)
    _open(reader, node)
    reader.visit_all(arguments, times)


def _open(reader: Reader, node: ast.AST) -> None:
    if node in reader.opening:
        reader.add(Ref("operation", ANY), reader.most)
