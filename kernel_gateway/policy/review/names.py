"""What the names of one cell mean, wherever in it they are bound: a name stands for all that it is ever given.

One view of the whole cell, without order or scopes: it finds at least what a run can find.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from catalog import Catalog
from kernel_gateway.policy.review.finding import Definition
from kernel_gateway.policy.review.source import paired, root
from kernel_gateway.policy.review.vocabulary import CALLERS, CLIENT_MODULE, CLIENT_VALUES, KEEPING, RESIZING


class Ref(NamedTuple):
    """What an expression stands for. `kind`: "server", "operation" (by its id), "tool" (call_tool, ...), "client" (the
    module of it), "inside" (a private part of any of them) or "def" (a function or class of this or an earlier cell).
    """

    kind: str
    name: str


FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Refs = frozenset[Ref]
NOTHING: Refs = frozenset()
MAX_MEANINGS = 32  # of one name, each looked at wherever it is read; nobody follows more
_ROUNDS = 8  # of following one name to the next; longer chains are nobody's honest code
_NAMED = (ast.Name, ast.Attribute, ast.NamedExpr, ast.IfExp, ast.BoolOp, ast.Call)


class Names:
    """`tangled` says that names lead to names further than was followed, or mean more than is kept."""

    def __init__(self, nodes: Iterable[ast.AST], catalog: Catalog, helpers: Mapping[str, Definition]) -> None:
        self.catalog, self.helpers = catalog, helpers
        self.bound: Counter[str] = Counter()
        self.values: dict[str, list[ast.expr]] = {}  # of plain assignments
        self.resized: set[str] = set()
        self.appended: dict[str, list[ast.expr]] = {}
        self.reshaped: set[str] = set()  # changed by more than `append`
        self.lengths: dict[str, int | None] = {}  # what `repeats` found
        self._texts: dict[str, frozenset[str]] = {}
        self.defined: set[str] = set()  # functions and classes
        self.methods: set[str] = {name[1:] for name in helpers if name.startswith(".")}
        self.modules: dict[str, str] = {}  # name -> the module it was imported as
        self.called: set[ast.AST] = set()  # functions of calls
        self._first_read: dict[str, int] = {}  # name -> line, and the same where it is bound
        self._first_bound: dict[str, int] = {}
        self._outermost: set[str] = set()  # assigned by the cell itself, in no function or block
        self._known: dict[ast.AST, Refs] | None = None  # what nodes stand for, once every name has been followed
        self._refs: dict[str, Refs] = {name: frozenset((Ref("tool", name),)) for name in CALLERS}
        self._refs |= {each.server: frozenset((Ref("server", each.server),)) for each in catalog.operations}
        self.client = frozenset(self._refs)
        for name, definition in helpers.items():
            refs = {Ref(*means.split(":", 1)) for means in definition.means}
            if definition.calls and not name.startswith("."):
                refs.add(Ref("def", name))
            if refs:
                self._refs[name] = frozenset(refs)
        for node in nodes:
            if collect := _COLLECTORS.get(type(node)):
                collect(self, node)
        self.tangled = self._follow()
        self._known = {}

    def refs(self, node: ast.AST) -> Refs:
        """What `node` stands for; nothing where it is a value like any other."""
        if self._known is None:
            return self._found(node)
        if node not in self._known:
            self._known[node] = self._found(node)
        return self._known[node]

    def _found(self, node: ast.AST) -> Refs:
        if isinstance(node, ast.Name):
            return self._refs.get(node.id, NOTHING)
        if isinstance(node, ast.Attribute):
            bases = self.refs(node.value)
            return frozenset(each for base in bases for each in self._part(base, node.attr)) if bases else NOTHING
        if isinstance(node, ast.NamedExpr):
            return self.refs(node.value)
        if isinstance(node, ast.IfExp):
            return self.refs(node.body) | self.refs(node.orelse)
        if isinstance(node, ast.BoolOp):
            return frozenset(each for value in node.values for each in self.refs(value))
        if isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Name):
            if node.func.id == "getattr" and len(node.args) >= 2 and isinstance(node.args[1], ast.Constant):
                return frozenset(
                    each for base in self.refs(node.args[0]) for each in self._part(base, str(node.args[1].value))
                )
            if node.func.id == "__import__" and self._is_client(node.args[0]):
                return frozenset((Ref("client", CLIENT_MODULE),))
        return NOTHING

    def plain(self, node: ast.AST) -> Refs:
        """The same where `node` is no more than a name, or an attribute of one: nothing else happens in it."""
        return self.refs(node) if isinstance(root(node), ast.Name) else NOTHING

    def _part(self, base: Ref, name: str) -> Iterator[Ref]:
        if base.kind == "inside":
            yield base
        elif base.kind == "client" and name in self.client:
            yield Ref("tool" if name in CALLERS else "server", name)
        elif base.kind == "client":
            if name not in CLIENT_VALUES:
                yield Ref("inside", f"{base.name}.{name}")
        elif base.kind == "server" and not name.startswith("_"):
            yield Ref("operation", f"{base.name}:{name}")
        elif base.kind != "def" and name.startswith("_") and name not in ("__doc__", "__name__"):
            yield Ref("inside", f"{base.name}.{name}")

    def texts(self, node: ast.AST) -> frozenset[str]:
        """The strings that `node` can be; none where that is not plain."""
        if isinstance(node, ast.Constant):
            return frozenset((node.value,)) if isinstance(node.value, str) else frozenset()
        if isinstance(node, ast.IfExp):
            both = self.texts(node.body), self.texts(node.orelse)
            return both[0] | both[1] if all(both) else frozenset()
        if isinstance(node, ast.JoinedStr) and all(isinstance(part, ast.Constant) for part in node.values):
            return frozenset(("".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)),))
        return self._texts_of(node.id) if isinstance(node, ast.Name) else frozenset()

    def _texts_of(self, name: str) -> frozenset[str]:
        """Of a name that is only ever given such; worked out once, and nothing where it leads back to itself."""
        if name not in self._texts:
            self._texts[name] = frozenset()
            values = self.values.get(name, [])
            found = [self.texts(value) for value in values if not isinstance(value, ast.Name)]
            if len(found) == len(values) == self.bound[name] and all(found) and self._is_of_this_cell(name):
                told = frozenset[str]().union(*found)
                self._texts[name] = told if len(told) <= MAX_MEANINGS else frozenset()
        return self._texts[name]

    def once(self, node: ast.AST) -> ast.AST:
        """The one expression that a name was given; `node` itself where it is none, or has several."""
        if isinstance(node, ast.Name) and self.bound[node.id] == 1 and len(self.values.get(node.id, ())) == 1:
            return self.values[node.id][0] if self._is_of_this_cell(node.id) else node
        return node

    def _is_of_this_cell(self, name: str) -> bool:
        """Not of an earlier one, whose value a function's variable of the same name leaves as it is."""
        return name not in self.helpers or (name in self._outermost and self.is_replaced(name))

    def is_free(self, name: str) -> bool:
        """Whether `name` means what Python or the client gave it."""
        return not self.bound[name] and name not in self.helpers

    def _is_client(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Constant) and str(node.value).partition(".")[0] == CLIENT_MODULE

    def _follow(self) -> bool:
        given = {name: [value for value in values if isinstance(value, _NAMED)] for name, values in self.values.items()}
        given = {name: values for name, values in given.items() if values}
        same: dict[Refs, Refs] = {}  # so that what many names mean is kept once
        cut = False
        for _ in range(_ROUNDS):
            changed = False
            for name, values in given.items():
                before = self._refs.get(name, NOTHING)
                after = before.union(*(self.refs(value) for value in values))
                if len(after) > MAX_MEANINGS:
                    cut = True
                elif after != before:
                    self._refs[name], changed = same.setdefault(after, after), True
            if not changed:
                return cut
        return True

    def _give(self, target: ast.AST, value: ast.expr) -> None:
        """Pairs of a tuple one by one; of a list that a loop goes through, its name with each of its items."""
        if isinstance(target, ast.Name):
            self.values.setdefault(target.id, []).append(value)
            if isinstance(value, ast.Lambda):
                self._define(target.id)
        for each, its in paired(target, value):
            self._give(each, its)

    def _module(self, node: ast.Module) -> None:
        assigned = [target for each in node.body if isinstance(each, ast.Assign) for target in each.targets]
        self._outermost = {each.id for each in assigned if isinstance(each, ast.Name)}

    def _assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._give(target, node.value)
        if isinstance(node.value, ast.Name):
            self._resize(node.value.id, [])  # two names of one list

    def _annotate(self, node: ast.AnnAssign | ast.NamedExpr) -> None:
        if node.value is not None:
            self._give(node.target, node.value)

    def _name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._bind(node.id, node.lineno)
        elif node.id in self.helpers:
            self._first_read[node.id] = min(node.lineno, self._first_read.get(node.id, node.lineno))

    def _bind(self, name: str, line: int) -> None:
        self.bound[name] += 1
        self._first_bound[name] = min(line, self._first_bound.get(name, line))

    def is_replaced(self, name: str) -> bool:
        """Whether an earlier cell's `name` is defined anew here, before anything reads it."""
        bound = self._first_bound.get(name)
        return bound is not None and bound <= self._first_read.get(name, bound)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.comprehension) -> None:
        if isinstance(node.iter, ast.Tuple | ast.List | ast.Set) and isinstance(node.target, ast.Name):
            self.values.setdefault(node.target.id, []).extend(node.iter.elts)
            self.bound[node.target.id] += len(node.iter.elts) - 1

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self._bind(node.name, node.lineno)
        self._define(node.name)
        if isinstance(node, ast.ClassDef):
            self.methods |= {
                each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            }

    def _define(self, name: str) -> None:
        self.defined.add(name)
        self._refs[name] = self._refs.get(name, NOTHING) | {Ref("def", name)}

    def _parameter(self, node: ast.arg) -> None:
        self.bound[node.arg] += 1

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self.bound[name] += 1
            self.modules[name] = alias.name if alias.asname else name
            if alias.name.partition(".")[0] == CLIENT_MODULE:
                self._refs[name] = self._refs.get(name, NOTHING) | {Ref("client", CLIENT_MODULE)}

    def _import_from(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            name = alias.asname or alias.name
            if node.module == CLIENT_MODULE and not node.level:
                parts = frozenset(self._part(Ref("client", CLIENT_MODULE), alias.name))
                self._refs[name] = self._refs.get(name, NOTHING) | parts
                if name == alias.name:
                    continue  # what it means already
            self.bound[name] += 1

    def _call(self, node: ast.Call) -> None:
        self.called.add(node.func)
        function = node.func
        if isinstance(function, ast.Attribute):
            if function.attr in RESIZING and isinstance(function.value, ast.Name):
                self._resize(function.value.id, node.args if function.attr == "append" else [])
        elif not (isinstance(function, ast.Name) and function.id in KEEPING | CALLERS):
            for each in node.args:
                if isinstance(each, ast.Name):
                    self._resize(each.id, [])

    def _resize(self, name: str, appended: list[ast.expr]) -> None:
        self.resized.add(name)
        if appended:
            self.appended.setdefault(name, []).extend(appended)
        else:
            self.reshaped.add(name)

    def _subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name):
            self._resize(node.value.id, [])

    def _bind_text(self, node: ast.AST) -> None:
        name = getattr(node, "name", None) or getattr(node, "rest", None)
        if isinstance(name, str):
            self.bound[name] += 1


_COLLECTORS: dict[type[ast.AST], Callable[..., None]] = {
    ast.AnnAssign: Names._annotate,
    ast.Assign: Names._assign,
    ast.AsyncFor: Names._loop,
    ast.AsyncFunctionDef: Names._function,
    ast.Call: Names._call,
    ast.ClassDef: Names._function,
    ast.ExceptHandler: Names._bind_text,
    ast.For: Names._loop,
    ast.FunctionDef: Names._function,
    ast.Import: Names._import,
    ast.ImportFrom: Names._import_from,
    ast.MatchAs: Names._bind_text,
    ast.MatchMapping: Names._bind_text,
    ast.MatchStar: Names._bind_text,
    ast.Module: Names._module,
    ast.Name: Names._name,
    ast.NamedExpr: Names._annotate,
    ast.Subscript: Names._subscript,
    ast.arg: Names._parameter,
    ast.comprehension: Names._loop,
}
