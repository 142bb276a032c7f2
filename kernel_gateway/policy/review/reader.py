"""Walks a cell's syntax tree and notes, per function and for the cell itself, what is called how often.

Branches count as the one that calls most. What is handed to code that is not read counts as called without end.
"""

import ast
from collections.abc import Callable, Iterable, Sequence

from kernel_gateway.policy.plan import ANY
from kernel_gateway.policy.review import calling, functions, statements
from kernel_gateway.policy.review.finding import Violation
from kernel_gateway.policy.review.names import FunctionNode, Names, Ref, Refs
from kernel_gateway.policy.review.rules import RULES, violation
from kernel_gateway.policy.review.source import children
from kernel_gateway.policy.review.tally import Body

CELL = Ref("cell", "")
_MAX_SITES = 3  # calls of one operation whose arguments are kept for the explanation


class Reader:
    """`bodies` by "def", "method" and the cell; `sites`: the arguments that calls of an operation are given."""

    def __init__(self, names: Names, most: int, denied: frozenset[str]) -> None:
        self.names, self.most, self.denied = names, most, denied
        self.imports: dict[str, None] = {}
        self.pairs = 0  # read so far, of lists for `call_tools`
        self.opening: set[ast.AST] = set()
        self.star = False  # names may come from a module's `*`
        self.bodies: dict[Ref, Body] = {CELL: Body()}
        self._noted: dict[tuple[str, tuple[str, ...]], int] = {}  # rule and texts -> first line
        self.sites: dict[str, list[dict[str, ast.expr]]] = {}
        self.holds: dict[str, set[Refs]] = {}  # what the cell's own names keep for later cells
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
            if held := frozenset(self.body.carries | self.pending):
                for name in _keepers(statement):
                    self.holds.setdefault(name, set()).add(held)
            before |= self.body.carries
            self.body.carries = before

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
        self._see(rule, node, texts)
        if RULES[rule].opens:
            self.add(Ref("operation", ANY), self.most)

    def mark(self, rule: str, node: ast.AST, *texts: str) -> None:
        """A violation that shows before the walk: the plan opens where the walk comes to `node`."""
        self._see(rule, node, texts)
        if RULES[rule].opens:
            self.opening.add(node)

    @property
    def violations(self) -> list[Violation]:
        return [violation(rule, line, *texts) for (rule, texts), line in self._noted.items()]

    def _see(self, rule: str, node: ast.AST, texts: tuple[str, ...]) -> None:
        line = getattr(node, "lineno", 0)
        self._noted[rule, texts] = min(line, self._noted.get((rule, texts), line))

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


_HANDLERS: dict[type[ast.AST], Callable[..., None]] = {
    ast.AnnAssign: statements.assign,
    ast.Assign: statements.assign,
    ast.AsyncFor: statements.loop,
    ast.AsyncFunctionDef: functions.function,
    ast.Attribute: statements.attribute,
    ast.arg: functions.argument,
    ast.Await: statements.awaited,
    ast.Call: calling.call,
    ast.ClassDef: functions.class_,
    ast.DictComp: statements.comprehension,
    ast.Expr: statements.shown,
    ast.For: statements.loop,
    ast.FormattedValue: statements.shown,
    ast.FunctionDef: functions.function,
    ast.GeneratorExp: statements.comprehension,
    ast.If: statements.if_,
    ast.IfExp: statements.if_,
    ast.Lambda: functions.lambda_,
    ast.ListComp: statements.comprehension,
    ast.Match: statements.match,
    ast.Name: statements.name,
    ast.NamedExpr: statements.assign,
    ast.SetComp: statements.comprehension,
    ast.While: statements.while_,
}
