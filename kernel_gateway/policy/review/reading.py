"""From a cell's text to its review."""

import ast
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache

from catalog import Catalog, Effect
from catalog.risk import Risk
from kernel_gateway.policy.plan import ANY, Plan
from kernel_gateway.policy.review.explanation import explain
from kernel_gateway.policy.review.finding import Definition, Review, Violation
from kernel_gateway.policy.review.hiding import look
from kernel_gateway.policy.review.names import FunctionNode, Names, Ref, Refs
from kernel_gateway.policy.review.reader import CELL, Reader
from kernel_gateway.policy.review.rules import RULES, violation
from kernel_gateway.policy.review.source import children, parse
from kernel_gateway.policy.review.tally import Tally
from kernel_gateway.policy.risk import risk_of

MAX_VIOLATIONS = 100  # a cell that has more is not understood better for them


def review(
    code: str, catalog: Catalog, helpers: Mapping[str, Definition], denied_modules: Collection[str], max_calls: int
) -> Review:
    """Reads `code`, whatever it is; never raises.

    `catalog` holds the operations that this caller may use; `helpers` what the definitions of the session's earlier
    cells come to, later ones over earlier ones; `max_calls` is how often the broker lets one cell call at all.
    """
    parsed = parse(code, helpers)
    if parsed.tree is None:
        return _unread(parsed.violations, max_calls)
    try:
        names = Names(parsed.nodes, catalog, _mentioned(parsed.nodes, helpers))
        reader = Reader(names, max_calls, frozenset(denied_modules))
        look(reader, parsed.nodes)
        reader.read(parsed.tree)
        if names.tangled:
            reader.note("dynamic_operation", parsed.tree)
        tally = Tally(reader.bodies, max_calls)
    except RecursionError:
        return _unread((*parsed.violations, violation("hostile_syntax", 0)), max_calls)
    return _read(reader, tally, parsed.tree, parsed.violations)


def _mentioned(nodes: Iterable[ast.AST], helpers: Mapping[str, Definition]) -> dict[str, Definition]:
    """Those of the session's definitions that the cell can mean."""
    said = {node.id for node in nodes if isinstance(node, ast.Name)}
    said |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    said |= {f".{node.attr}" for node in nodes if isinstance(node, ast.Attribute)}
    found: dict[str, Definition] = {}
    while said := {name for name in said if name in helpers and name not in found}:
        found |= {name: helpers[name] for name in said}
        said = {ref.partition(":")[2] for name in said for ref in helpers[name].means if ref.startswith("def:")}
    return found


def _read(reader: Reader, tally: Tally, tree: ast.Module, before: Sequence[Violation]) -> Review:
    names, most = reader.names, reader.most
    counts = dict(tally.calls(CELL))
    violations = _ordered((*before, *reader.violations))
    if any(RULES[each.rule].opens for each in before):
        counts[ANY] = most
    refused = any(each.refused for each in violations)
    plan = Plan({} if refused else counts)
    operations = [each for each in names.catalog.operations if each.id in counts]
    risk = max([Risk.LOW, *map(risk_of, operations), *(each.risk for each in violations)])
    return Review(
        plan,
        tuple(each.id for each in operations),
        tuple(sorted({each.effect for each in operations}, key=list(Effect).index)),
        risk,
        explain(plan, operations, risk, violations, tuple(reader.imports), reader.sites, names, most),
        violations,
        tuple(reader.imports),
        {} if refused else _definitions(reader, tally, tree),
    )


def _unread(violations: Iterable[Violation], most: int) -> Review:
    """Without a tree. What IPython's commands in it could call is not known, the rest calls nothing."""
    ordered = _ordered(violations)
    refused = any(each.refused for each in ordered)
    opens = not refused and any(RULES[each.rule].opens for each in ordered)
    plan, risk = Plan({ANY: most} if opens else {}), max(each.risk for each in ordered)
    return Review(plan, (), (), risk, explain(plan, (), risk, ordered, (), {}, None, most), ordered, (), {})


def _ordered(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """What refuses the cell first, then by line; said once."""
    first: dict[tuple[str, str], Violation] = {}
    for each in sorted(violations, key=lambda each: (not each.refused, each.line)):
        first.setdefault((each.rule, each.message), each)
    return tuple(first.values())[:MAX_VIOLATIONS]


def _definitions(reader: Reader, tally: Tally, tree: ast.Module) -> dict[str, Definition]:
    """What many names have in common is worked out, and kept, once."""

    @cache
    def carried(held: frozenset[Refs]) -> frozenset[str]:
        return frozenset(each for refs in held for each in reached(refs))

    @cache
    def reached(refs: Refs) -> frozenset[str]:
        return tally.carries(refs)

    @cache
    def meaning(refs: Refs) -> frozenset[str]:
        return frozenset(":".join(ref) for ref in refs)

    found = {}
    for name in _bound(tree):
        refs = reader.names.refs(ast.Name(name, ast.Load()))
        own = Ref("def", name)
        found[name] = Definition(
            tally.calls(own) if own in refs else {},
            carried(frozenset(reader.holds.get(name, ()))),
            meaning(refs - {own} if own in refs else refs),
            name in reader.lazy,
        )
    for ref in reader.bodies:
        if ref.kind == "method" and (calls := tally.calls(ref)):
            found[f".{ref.name}"] = Definition(calls, lazy=f".{ref.name}" in reader.lazy)
    return found


def _bound(tree: ast.Module) -> dict[str, None]:
    """The names that the cell itself binds, functions and classes among them, without those inside of these."""
    found: dict[str, None] = {}
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found[node.id] = None
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= dict.fromkeys(each.asname or each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = None
        if not isinstance(node, FunctionNode | ast.ClassDef):
            waiting += children(node)
    return found
