"""A review in sentences for a person who does not read code. All words are ours; what comes from the cell is quoted."""

import ast
from collections.abc import Mapping, Sequence

from catalog import Effect, Operation
from catalog.risk import Risk
from kernel_gateway.policy.plan import ANY, Plan
from kernel_gateway.policy.review.finding import Violation
from kernel_gateway.policy.review.names import Names
from kernel_gateway.policy.review.quoting import quote

MAX_SENTENCES = 20  # of violations, and of modules: what one more would add is said as a number
_MAX_ITEMS, _MAX_NESTING = 5, 2  # of a list or a table among the arguments

_EFFECTS = {
    Effect.READ: "Only looks something up",
    Effect.WRITE: "Creates or changes something",
    Effect.DELETE: "Deletes something",
}
_RISKS = {
    Risk.LOW: "Low risk.",
    Risk.MEDIUM: "Medium risk.",
    Risk.HIGH: "High risk: read it before it runs.",
    Risk.CRITICAL: "Critical risk: do not let it run unless you know why it is written like this.",
}

Sites = Mapping[str, Sequence[Mapping[str, ast.expr]]]


def explain(
    plan: Plan,
    operations: Sequence[Operation],
    risk: Risk,
    violations: Sequence[Violation],
    imports: Sequence[str],
    sites: Sites,
    names: Names | None,
    most: int,
) -> str:
    lines = [_RISKS[risk]]
    if any(each.refused for each in violations):
        lines = ["This cell is refused and does not run."]
    elif not plan.calls:
        lines.append("It calls no operation: it only computes inside its sandbox.")
    for operation in operations:
        times = _times(plan.calls[operation.id], most)
        lines.append(f"{_EFFECTS[operation.effect]}: {operation.summary} ({operation.id}), {times}.")
        lines += [f"    {_with(operation, site, names)}." for site in sites.get(operation.id, ()) if names and site]
    if ANY in plan.calls:
        count = plan.calls[ANY]
        lines.append(
            f"What {'else ' if operations else ''}it calls shows only while it runs: any operation allowed to it,"
            f" at most {count} calls."
        )
    lines += _cut([f"{_place(each)}: {each.message}." for each in violations], "more warnings")
    if imports:
        lines.append(f"Uses the modules {', '.join(_cut([quote(each) for each in imports], 'more'))}.")
    return "\n".join(lines)


def _place(violation: Violation) -> str:
    return f"Line {violation.line}" if violation.line else "The whole cell"


def _cut(lines: list[str], rest: str) -> list[str]:
    return [*lines[:MAX_SENTENCES], f"and {len(lines) - MAX_SENTENCES} {rest}"] if len(lines) > MAX_SENTENCES else lines


def _times(count: int, most: int) -> str:
    if count >= most:
        return f"again and again, at most {most} times"
    return {1: "once", 2: "at most twice"}.get(count, f"at most {count} times")


def _with(operation: Operation, given: Mapping[str, ast.expr], names: Names) -> str:
    known = {parameter.name for parameter in operation.parameters}
    parts = [f"{name if name in known else quote(name)} {shown(value, names)}" for name, value in given.items()]
    return f"With {'; '.join(_cut(parts, 'more'))}"


def shown(value: ast.AST, names: Names, nesting: int = 0) -> str:
    """A value as far as the cell's text says it, quoted."""
    if isinstance(given := names.once(value), ast.Constant | ast.UnaryOp):
        value = given  # what a name holds can be changed where it is no constant
    if isinstance(value, ast.Constant):
        return quote(value.value if isinstance(value.value, str) else _number(value.value))
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub) and isinstance(value.operand, ast.Constant):
        return quote(f"-{_number(value.operand.value)}")
    if isinstance(value, ast.List | ast.Tuple | ast.Set) and nesting < _MAX_NESTING:
        return _several([shown(each, names, nesting + 1) for each in value.elts[:_MAX_ITEMS]], len(value.elts), "[]")
    if isinstance(value, ast.Dict) and nesting < _MAX_NESTING:
        pairs = list(zip(value.keys, value.values, strict=True))[:_MAX_ITEMS]
        texts = [f"{shown(key, names, 9) if key else '…'}: {shown(each, names, nesting + 1)}" for key, each in pairs]
        return _several(texts, len(value.keys), "{}")
    return "worked out while it runs"


def _several(texts: list[str], count: int, around: str) -> str:
    rest = [f"and {count - len(texts)} more"] if count > len(texts) else []
    return f"{around[0]}{', '.join([*texts, *rest])}{around[1]}"


def _number(value: object) -> str:
    """Not of any size: Python itself refuses to write out a whole number of more than 4,300 digits."""
    return f"a number of {value.bit_length()} bits" if isinstance(value, int) and abs(value) >= 10**80 else str(value)
