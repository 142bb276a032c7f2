"""What a cell can call, read from its text. It warns and explains; it is not the boundary."""

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from catalog import Catalog
from kernel_gateway.policy.plan import ANY, Plan
from kernel_gateway.policy.risk import Risk, risk_of


@dataclass(frozen=True, slots=True)
class Violation:
    rule: str
    line: int
    message: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    plan: Plan
    operations: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    risk: Risk = Risk.LOW
    explanation: str = ""
    violations: tuple[Violation, ...] = ()
    imports: tuple[str, ...] = ()
    definitions: Mapping[str, object] = field(default_factory=dict)


def review(
    code: str,
    catalog: Catalog,
    helpers: Mapping[str, object] = {},
    denied_modules: Collection[str] = (),
    max_calls: int = 20,
) -> Review:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Review(Plan({ANY: max_calls}), explanation="This is not Python.")
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {
        node.value.partition(":")[2]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    found = [operation for operation in catalog.operations if operation.name in names]
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    wrong = tuple(
        Violation("denied_module", 1, f"the module `{each}` is denied", True)
        for each in sorted(modules & set(denied_modules))
    )
    counts = {
        each.id: sum(isinstance(node, ast.Attribute) and node.attr == each.name for node in ast.walk(tree)) or max_calls
        for each in found
    }
    if any(isinstance(node, ast.For | ast.While | ast.FunctionDef) for node in ast.walk(tree)):
        counts = dict.fromkeys(counts, max_calls)
    said = [
        f"It calls {each.id} at most {counts[each.id]} times, which {each.effect}s: {each.summary}." for each in found
    ]
    return Review(
        Plan(counts),
        tuple(each.id for each in found),
        tuple(sorted({str(each.effect) for each in found})),
        max((risk_of(each) for each in found), default=Risk.LOW, key=lambda risk: risk.rank),
        " ".join(said) or "It calls nothing outside.",
        wrong,
    )
