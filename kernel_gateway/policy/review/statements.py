"""Names, assignments, loops and branches: what is followed, what is handed on, and how often a block runs."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernel_gateway.policy.plan import ANY
from kernel_gateway.policy.review import calling, functions
from kernel_gateway.policy.review.names import Ref, Refs
from kernel_gateway.policy.review.repeats import product, repeats
from kernel_gateway.policy.review.source import children, paired

if TYPE_CHECKING:
    from kernel_gateway.policy.review.reader import Reader


def name(reader: Reader, node: ast.Name, times: int) -> None:
    if isinstance(node.ctx, ast.Load):
        if refs := reader.names.refs(node):
            reader.hand_on(refs, node)
        elif node.id in reader.names.helpers:
            held = reader.names.helpers[node.id].carries
            reader.hand_on(frozenset(Ref("operation", each) for each in held if each != ANY), node)
            if ANY in held:
                reader.note("client_escapes", node, node.id)
    elif node.id in reader.names.client:
        rule = "client_changed" if isinstance(node.ctx, ast.Del) else "renamed"
        reader.note(rule, node, node.id)


def attribute(reader: Reader, node: ast.Attribute, times: int) -> None:
    names = reader.names
    if isinstance(node.ctx, ast.Load):
        if refs := names.refs(node):
            reader.hand_on(refs, node)
        elif node.attr in names.methods:
            reader.hand_on(frozenset((Ref("method", node.attr),)), node)
    elif outside := sorted(ref.name for ref in names.refs(node.value) if ref.kind != "def"):
        reader.note("client_changed", node, outside[0])
    elif isinstance(node.value, ast.Name) and node.value.id in names.modules:
        reader.note("patched", node, f"{node.value.id}.{node.attr}")
    if not names.plain(node.value):
        reader.visit(node.value, times)


def assign(reader: Reader, node: ast.Assign | ast.AnnAssign | ast.NamedExpr, times: int) -> None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if node.value is not None:
        _given(reader, targets, node.value, times)
    reader.visit_all(targets, times)
    if isinstance(node, ast.AnnAssign):
        functions.annotation(reader, node.annotation, times)


def _given(reader: Reader, targets: Sequence[ast.AST], value: ast.expr, times: int) -> None:
    """A name for what can be called is followed; whatever else it is given to may call it."""
    plain = all(isinstance(target, ast.Name) for target in targets)
    pairs = paired(targets[0], value) if len(targets) == 1 else []
    if plain and isinstance(value, ast.Lambda):
        _lambda_named(reader, targets, value, times)
    elif plain and isinstance(value, ast.IfExp):
        reader.visit(value.test, times)
        _given(reader, targets, value.body, times)
        _given(reader, targets, value.orelse, times)
    elif plain and (refs := reader.names.plain(value)):
        _alias(reader, refs, value)
    elif pairs:
        for target, each in pairs:
            _given(reader, [target], each, times)
    else:
        reader.visit(value, times)


def _alias(reader: Reader, refs: Refs, value: ast.expr) -> None:
    for ref in refs:
        if ref.kind == "inside":
            reader.note("private", value, ref.name)
        elif ref.kind != "def":
            reader.note("alias", value, ref.name)


def _lambda_named(reader: Reader, targets: Sequence[ast.AST], value: ast.Lambda, times: int) -> None:
    reader.visit(value.args, times)
    for target in targets:
        assert isinstance(target, ast.Name)
        reader.function(Ref("def", target.id), value)


def loop(reader: Reader, node: ast.For | ast.AsyncFor, times: int) -> None:
    inner = reader.times(times, repeats(node.iter, reader.names))
    _source(reader, node.iter, node.target, times)
    reader.visit(node.target, inner)
    reader.visit_all(node.body, inner)
    reader.visit_all(node.orelse, times)


def _source(reader: Reader, source: ast.expr, target: ast.AST, times: int) -> None:
    """What a loop goes through: of names for what can be called, the loop's own name is one more."""
    parts = source.elts if isinstance(source, ast.Tuple | ast.List | ast.Set) and isinstance(target, ast.Name) else []
    if parts and all(reader.names.plain(each) for each in parts):
        for each in parts:
            _alias(reader, reader.names.plain(each), each)
    else:
        calling.used_up(reader, [source], times)


def while_(reader: Reader, node: ast.While, times: int) -> None:
    reader.visit_all([node.test, *node.body], reader.most if times else 0)
    reader.visit_all(node.orelse, times)


def comprehension(
    reader: Reader, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, times: int
) -> None:
    inner = times
    for each in node.generators:
        _source(reader, each.iter, each.target, inner)
        inner = reader.times(inner, product([repeats(each.iter, reader.names)]))
        reader.visit_all([each.target, *each.ifs], inner)
    before, reader.body.calls = reader.body.calls, {}
    reader.visit_all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt], inner)
    made, reader.body.calls = reader.body.calls, before
    for ref, count in made.items():
        reader.add(ref, count)
    if isinstance(node, ast.GeneratorExp):
        reader.pending |= made.keys()


def if_(reader: Reader, node: ast.If | ast.IfExp, times: int) -> None:
    reader.visit(node.test, times)
    if isinstance(node, ast.If):
        reader.branch([node.body, node.orelse], times)
    else:
        reader.branch([[node.body], [node.orelse]], times)


def match(reader: Reader, node: ast.Match, times: int) -> None:
    reader.visit(node.subject, times)
    reader.visit_all([case.guard for case in node.cases], times)
    reader.branch([[case.pattern, *case.body] for case in node.cases], times)


def awaited(reader: Reader, node: ast.Await, times: int) -> None:
    calling.used_up(reader, [node.value], times)


def shown(reader: Reader, node: ast.Expr | ast.FormattedValue, times: int) -> None:
    """A value that is only displayed."""
    refs = reader.names.plain(node.value)
    if not refs or any(ref.kind == "inside" for ref in refs):
        reader.visit_all(children(node), times)
