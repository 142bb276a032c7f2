"""How often a loop over an expression runs at most, where its text says so."""

import ast

from kernel_gateway.policy.review.names import Names

_SAME_LENGTH = frozenset(("enumerate", "list", "reversed", "sorted", "tuple", "set", "filter", "frozenset"))


def repeats(node: ast.AST, names: Names, depth: int = 16) -> int | None:
    """None where only the run can tell. `depth` bounds how far one thing is followed to the next."""
    if depth == 0:
        return None
    if isinstance(node, ast.Name):
        if node.id not in names.lengths:
            given = names.once(node)
            names.lengths[node.id] = None  # so that a name that leads back to itself has no length
            if given is not node and node.id not in names.resized:
                names.lengths[node.id] = repeats(given, names, depth - 1)
        return names.lengths[node.id]
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return None if any(isinstance(each, ast.Starred) for each in node.elts) else len(node.elts)
    if isinstance(node, ast.Dict):
        return None if None in node.keys else len(node.keys)
    if isinstance(node, ast.Constant):
        return len(node.value) if isinstance(node.value, str | bytes) else None
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return _slice(node, names, depth)
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        counts = [repeats(each.iter, names, depth - 1) for each in node.generators]
        return product(counts)
    if isinstance(node, ast.Call):
        return _call(node, names, depth)
    return None


def product(counts: list[int | None]) -> int | None:
    total = 1
    for count in counts:
        if count is None:
            return None
        total *= count
    return total


def _call(node: ast.Call, names: Names, depth: int) -> int | None:
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr in ("items", "keys", "values") and not node.args:
        inner = names.once(function.value)
        resized = isinstance(function.value, ast.Name) and function.value.id in names.resized
        return repeats(inner, names, depth - 1) if isinstance(inner, ast.Dict) and not resized else None
    if not isinstance(function, ast.Name) or not names.is_free(function.id) or not node.args:
        return None
    if any(isinstance(each, ast.Starred) for each in node.args):
        return None
    if function.id == "range":
        return _range([_integer(each, names) for each in node.args])
    if function.id in _SAME_LENGTH:
        return repeats(node.args[-1 if function.id == "filter" else 0], names, depth - 1)
    if function.id in ("zip", "map"):
        counts = [repeats(each, names, depth - 1) for each in node.args[function.id == "map" :]]
        return min((count for count in counts if count is not None), default=None)
    return None


def _range(bounds: list[int | None]) -> int | None:
    known = [each for each in bounds if each is not None]
    if len(known) != len(bounds) or len(known) > 3 or (len(known) == 3 and known[2] == 0):
        return None
    start, stop, step = (0, known[0], 1) if len(known) == 1 else (known[0], known[1], [*known, 1][2])
    return max(0, -((start - stop) // step))


def _slice(node: ast.Subscript, names: Names, depth: int) -> int | None:
    assert isinstance(node.slice, ast.Slice)
    whole = repeats(node.value, names, depth - 1)
    start = _integer(node.slice.lower, names) if node.slice.lower else 0
    stop = _integer(node.slice.upper, names) if node.slice.upper else None
    if node.slice.upper is None and start is not None and start < 0:
        return min(-start, whole) if whole is not None else -start
    if start is None or stop is None or start < 0 or stop < 0:
        return whole
    return max(0, min(stop - start, whole) if whole is not None else stop - start)


def _integer(node: ast.AST, names: Names) -> int | None:
    node = names.once(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -node.operand.value if type(node.operand.value) is int else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and node.args:
        return repeats(node.args[0], names) if names.is_free("len") else None
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None
