"""Walks a cell's syntax tree and notes, per function and for the cell itself, what is called how often.

Branches count as the one that calls most. What is handed to code that is not read counts as called without end.
"""

import ast
from collections.abc import Callable, Iterable, Sequence

from kernel_gateway.policy.plan import ANY
from kernel_gateway.policy.review import calling
from kernel_gateway.policy.review.finding import Violation
from kernel_gateway.policy.review.names import FunctionNode, Names, Ref, Refs, paired
from kernel_gateway.policy.review.repeats import product, repeats
from kernel_gateway.policy.review.rules import RULES, violation
from kernel_gateway.policy.review.source import children
from kernel_gateway.policy.review.tally import Body
from kernel_gateway.policy.review.vocabulary import QUIET_BASES, QUIET_DECORATORS

CELL = Ref("cell", "")
_MAX_SITES = 3  # calls of one operation whose arguments are kept for the explanation


class Reader:
    """`bodies` by "def", "method" and the cell; `sites`: the arguments that calls of an operation are given."""

    def __init__(self, names: Names, most: int, denied: frozenset[str]) -> None:
        self.names, self.most, self.denied = names, most, denied
        self.imports: list[str] = []
        self.pairs = 0  # read so far, of lists for `call_tools`
        self.opening: set[ast.AST] = set()
        self.star = False  # names may come from a module's `*`
        self.bodies: dict[Ref, Body] = {CELL: Body()}
        self.violations: list[Violation] = []
        self.sites: dict[str, list[dict[str, ast.expr]]] = {}
        self.holds: dict[str, set[Ref]] = {}  # what the cell's own names keep for later cells
        self.lazy: set[str] = set()
        self.pending: set[Ref] = set()
        self.body = self.bodies[CELL]
        for name, definition in names.helpers.items():
            ref = Ref("method", name[1:]) if name.startswith(".") else Ref("def", name)
            carried = {Ref("operation", each) for each in definition.carries}
            known = Body({Ref("operation", each): count for each, count in definition.calls.items()}, carried)
            if definition.lazy:
                self.lazy.add(name)
            if not names.is_replaced(name):
                self.bodies[ref] = known

    def read(self, tree: ast.Module) -> None:
        for statement in tree.body:
            before, self.body.carries, self.pending = self.body.carries, set(), set()
            self.visit(statement, 1)
            if held := self.body.carries | self.pending:
                for name in _keepers(statement):
                    self.holds.setdefault(name, set()).update(held)
            self.body.carries |= before

    def visit(self, node: ast.AST, times: int) -> None:
        if node in self.opening:
            self.add(Ref("operation", ANY), self.most)
        handle = _HANDLERS.get(type(node))
        if handle is not None:
            handle(self, node, times)
        else:
            for child in children(node):
                self.visit(child, times)

    def visit_all(self, nodes: Iterable[ast.AST | None], times: int) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node, times)

    def note(self, rule: str, node: ast.AST, *texts: str) -> None:
        """A violation; where it opens everything, so does the plan."""
        self.violations.append(violation(rule, getattr(node, "lineno", 0), *texts))
        if RULES[rule].opens:
            self.add(Ref("operation", ANY), self.most)

    def mark(self, rule: str, node: ast.AST, *texts: str) -> None:
        """A violation that shows before the walk: the plan opens where the walk comes to `node`."""
        self.violations.append(violation(rule, getattr(node, "lineno", 0), *texts))
        if RULES[rule].opens:
            self.opening.add(node)

    def add(self, ref: Ref, times: int) -> None:
        self.body.calls[ref] = min(self.most, self.body.calls.get(ref, 0) + times)

    def site(self, operation: str, given: dict[str, ast.expr]) -> None:
        sites = self.sites.setdefault(operation, [])
        if len(sites) < _MAX_SITES:
            sites.append(given)

    def times(self, outer: int, inner: int | None) -> int:
        return self.most if inner is None else min(self.most, outer * inner)

    def hand_on(self, refs: Refs, node: ast.AST, times: int | None = None) -> None:
        """What is mentioned and not called: others may call it, `times` if that is known."""
        often = self.most if times is None else times
        for ref in refs:
            if ref.kind == "inside":
                self.note("private", node, ref.name)
            elif ref.kind in ("server", "tool", "client"):
                self.note("client_escapes", node, ref.name)
                self.body.carries.add(Ref("operation", ANY))
            elif ref.kind == "operation" and self.names.catalog.get(ref.name) is None:
                self.note("unknown_operation", node, ref.name)
            else:
                if ref.kind == "operation":
                    self.note("passed", node, ref.name)
                self.add(ref, often)
                if times is None:
                    self.body.carries.add(ref)

    def branch(self, ways: Sequence[Iterable[ast.AST]], times: int) -> None:
        before, most = self.body.calls, dict[Ref, int]()
        for way in ways:
            self.body.calls = {}
            self.visit_all(way, times)
            for ref, count in self.body.calls.items():
                most[ref] = max(count, most.get(ref, 0))
        self.body.calls = before
        for ref, count in most.items():
            self.add(ref, count)

    def function(self, ref: Ref, node: FunctionNode) -> None:
        """Its body, as a piece of its own: all functions of one name are one, which calls what any of them does."""
        outer, self.body = self.body, Body()
        self.visit_all(node.body if isinstance(node.body, list) else [node.body], 1)
        inner, self.body = self.body, outer
        known = self.bodies.setdefault(ref, Body())
        for called, count in inner.calls.items():
            known.calls[called] = max(count, known.calls.get(called, 0))
        known.carries |= inner.carries


def _keepers(statement: ast.stmt) -> set[str]:
    """The names that a statement of the cell leaves something in: targets, and objects whose methods are called."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.value, ast.Name):
            called = isinstance(statement, ast.Expr) and isinstance(node, ast.Attribute)
            if called or not isinstance(node.ctx, ast.Load):
                found.add(node.value.id)
    return found


def _name(reader: Reader, node: ast.Name, times: int) -> None:
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


def _attribute(reader: Reader, node: ast.Attribute, times: int) -> None:
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


def _assign(reader: Reader, node: ast.Assign | ast.AnnAssign | ast.NamedExpr, times: int) -> None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if node.value is not None:
        _given(reader, targets, node.value, times)
    reader.visit_all(targets, times)
    if isinstance(node, ast.AnnAssign):
        _annotation(reader, node.annotation, times)


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


def _loop(reader: Reader, node: ast.For | ast.AsyncFor, times: int) -> None:
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


def _while(reader: Reader, node: ast.While, times: int) -> None:
    reader.visit_all([node.test, *node.body], reader.most if times else 0)
    reader.visit_all(node.orelse, times)


def _comprehension(
    reader: Reader, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, times: int
) -> None:
    inner = times
    for each in node.generators:
        _source(reader, each.iter, each.target, inner)
        inner = reader.times(inner, product([repeats(each.iter, reader.names)]))
        reader.visit_all([each.target, *each.ifs], inner)
    before = set(reader.body.calls)
    reader.visit_all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt], inner)
    if isinstance(node, ast.GeneratorExp):
        reader.pending |= reader.body.calls.keys() - before


def _if(reader: Reader, node: ast.If | ast.IfExp, times: int) -> None:
    reader.visit(node.test, times)
    if isinstance(node, ast.If):
        reader.branch([node.body, node.orelse], times)
    else:
        reader.branch([[node.body], [node.orelse]], times)


def _match(reader: Reader, node: ast.Match, times: int) -> None:
    reader.visit(node.subject, times)
    reader.visit_all([case.guard for case in node.cases], times)
    reader.branch([[case.pattern, *case.body] for case in node.cases], times)


def _function(reader: Reader, node: ast.FunctionDef | ast.AsyncFunctionDef, times: int) -> None:
    _define(reader, Ref("def", node.name), node, times)


def _define(reader: Reader, ref: Ref, node: ast.FunctionDef | ast.AsyncFunctionDef, times: int) -> None:
    _parameters(reader, node.args)
    reader.visit_all([*node.decorator_list, node.args], times)
    _annotation(reader, node.returns, times)
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


def _annotation(reader: Reader, node: ast.AST | None, times: int) -> None:
    """A type only names classes; what is called in it is called."""
    if node is not None and any(isinstance(each, ast.Call) for each in ast.walk(node)):
        reader.visit(node, times)


def _argument(reader: Reader, node: ast.arg, times: int) -> None:
    _annotation(reader, node.annotation, times)


def _parameters(reader: Reader, arguments: ast.arguments) -> None:
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if each is not None and each.arg in reader.names.client:
            reader.note("renamed", each, each.arg)


def _lambda(reader: Reader, node: ast.Lambda, times: int) -> None:
    """Without a name: whoever gets it may call it without end."""
    reader.visit(node.args, times)
    outer, reader.body = reader.body, Body()
    reader.visit(node.body, reader.most)
    inner, reader.body = reader.body, outer
    for ref, count in inner.calls.items():
        reader.add(ref, count)
    reader.body.carries |= inner.calls.keys() | inner.carries


def _class(reader: Reader, node: ast.ClassDef, times: int) -> None:
    """Calling it makes an object, which may use its special methods; a base that is not read may call all of them."""
    bases = [each for each in node.bases if any(ref.kind != "def" for ref in reader.names.refs(each) or [CELL])]
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


def _await(reader: Reader, node: ast.Await, times: int) -> None:
    calling.used_up(reader, [node.value], times)


def _shown(reader: Reader, node: ast.Expr | ast.FormattedValue, times: int) -> None:
    """A value that is only displayed."""
    refs = reader.names.plain(node.value)
    if not refs or any(ref.kind == "inside" for ref in refs):
        reader.visit_all(children(node), times)


_HANDLERS: dict[type[ast.AST], Callable[..., None]] = {
    ast.AnnAssign: _assign,
    ast.Assign: _assign,
    ast.AsyncFor: _loop,
    ast.AsyncFunctionDef: _function,
    ast.Attribute: _attribute,
    ast.arg: _argument,
    ast.Await: _await,
    ast.Call: calling.call,
    ast.ClassDef: _class,
    ast.DictComp: _comprehension,
    ast.Expr: _shown,
    ast.For: _loop,
    ast.FormattedValue: _shown,
    ast.FunctionDef: _function,
    ast.GeneratorExp: _comprehension,
    ast.If: _if,
    ast.IfExp: _if,
    ast.Lambda: _lambda,
    ast.ListComp: _comprehension,
    ast.Match: _match,
    ast.Name: _name,
    ast.NamedExpr: _assign,
    ast.SetComp: _comprehension,
    ast.While: _while,
}
