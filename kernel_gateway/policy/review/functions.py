"""Functions, lambdas and classes: what their bodies do, and when."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kernel_gateway.policy.review.names import FunctionNode, Ref
from kernel_gateway.policy.review.source import children
from kernel_gateway.policy.review.tally import Body
from kernel_gateway.policy.review.vocabulary import QUIET_BASES, QUIET_DECORATORS

if TYPE_CHECKING:
    from kernel_gateway.policy.review.reader import Reader


def function(reader: Reader, node: ast.FunctionDef | ast.AsyncFunctionDef, times: int) -> None:
    _define(reader, Ref("def", node.name), node, times)


def _define(reader: Reader, ref: Ref, node: ast.FunctionDef | ast.AsyncFunctionDef, times: int) -> None:
    _parameters(reader, node.args)
    reader.visit_all([*node.decorator_list, node.args], times)
    annotation(reader, node.returns, times)
    reader.function(ref, node)
    if isinstance(node, ast.AsyncFunctionDef) or any(
        isinstance(each, ast.Yield | ast.YieldFrom) for each in _own(node)
    ):
        reader.lazy.add(ref.name if ref.kind == "def" else f".{ref.name}")
    if not all(_last(each) in QUIET_DECORATORS for each in node.decorator_list):
        reader.hand_on(frozenset((ref,)), node)


def _own(node: ast.AST) -> Iterable[ast.AST]:
    waiting = list(children(node))
    while waiting:
        each = waiting.pop()
        yield each
        if not isinstance(each, FunctionNode):
            waiting += children(each)


def annotation(reader: Reader, node: ast.AST | None, times: int) -> None:
    """A type only names classes; what is called in it is called."""
    if node is not None and any(isinstance(each, ast.Call) for each in ast.walk(node)):
        reader.visit(node, times)


def argument(reader: Reader, node: ast.arg, times: int) -> None:
    annotation(reader, node.annotation, times)


def _parameters(reader: Reader, arguments: ast.arguments) -> None:
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if each is not None and each.arg in reader.names.client:
            reader.note("renamed", each, each.arg)


def lambda_(reader: Reader, node: ast.Lambda, times: int) -> None:
    """Without a name: whoever gets it may call it without end."""
    reader.visit(node.args, times)
    outer, reader.body = reader.body, Body()
    reader.visit(node.body, reader.most)
    inner, reader.body = reader.body, outer
    for ref, count in inner.calls.items():
        reader.add(ref, count)
    reader.body.carries |= inner.calls.keys() | inner.carries


def class_(reader: Reader, node: ast.ClassDef, times: int) -> None:
    """Calling it makes an object, which may use its special methods; a base that is not read may call all of them."""
    bases = [each for each in node.bases if {ref.kind for ref in reader.names.refs(each)} != {"def"}]
    reader.visit_all([*node.decorator_list, *bases, *node.keywords], times)
    made = reader.bodies.setdefault(Ref("def", node.name), Body())
    named = [_last(each) for each in node.bases]
    known = all(each in QUIET_BASES or each in reader.names.defined for each in named) and not node.keywords
    for each in node.body:
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            reader.visit(each, times)
            if isinstance(each, ast.Assign | ast.AnnAssign) and each.value is not None:
                reader.hand_on(reader.names.plain(each.value), each)  # every object of the class has it
            continue
        ref = Ref("method", each.name)
        _define(reader, ref, each, times)
        if each.name in ("__init__", "__new__", "__post_init__"):
            made.calls[ref] = made.calls.get(ref, 0) + 1
        elif each.name.startswith("__") or not known:
            made.calls[ref] = reader.most
    for base in named:
        made.calls[Ref("def", base)] = 1


def _last(node: ast.AST) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    node = node.value if isinstance(node, ast.Subscript) else node
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
