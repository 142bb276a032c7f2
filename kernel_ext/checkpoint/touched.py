"""Which names a cell can have changed, as far as its text and the code it reaches tell."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

_REACHES_ALL = frozenset(
    {
        "globals", "locals", "vars", "exec", "eval", "get_ipython", "builtins", "__builtins__", "__main__", "ctypes",
        "f_globals", "f_locals", "f_back", "_getframe", "_current_frames", "currentframe", "tb_frame", "gi_frame",
        "cr_frame", "__globals__", "gc", "get_objects", "get_referrers", "modules", "user_ns", "run_cell", "runpy",
    }
)  # fmt: skip
_RUNS_LATER = frozenset(
    {
        "__del__", "finalize", "atexit", "call_later", "call_at", "call_soon", "call_soon_threadsafe", "add_callback",
        "add_done_callback", "add_timeout", "PeriodicCallback", "settrace", "setprofile", "setitimer", "SIGALRM",
        "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGINT", "addaudithook", "excepthook", "displayhook", "unraisablehook",
        "addHandler", "addFilter", "mpl_connect", "post_run_cell", "pre_run_cell", "post_execute", "pre_execute",
        "seterrcall", "set_trace_callback", "create_function", "register_at_fork", "meta_path", "path_hooks",
    }
)  # fmt: skip


class Wild(IntEnum):
    """How far code can reach beyond the names in it."""

    NO = 0
    NOW = 1
    FROM_NOW_ON = 2


@dataclass(frozen=True, slots=True)
class Reach:
    """`names` it can change or have changed by what they hold, `loads` among them that it reads, `calls` anything."""

    names: frozenset[str]
    loads: frozenset[str] = frozenset()
    wild: Wild = Wild.NO
    calls: bool = True


def of_source(source: str) -> Reach:
    """What Python itself cannot parse, a magic for one, reaches everything."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Reach(frozenset(), wild=Wild.NOW)
    names: set[str] = set()
    loads: set[str] = set()
    others: set[str] = set()
    calls = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add(node.id)
            if isinstance(node.ctx, ast.Load):
                loads.add(node.id)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            loads.add(node.target.id)
        elif isinstance(node, ast.Attribute):
            others.add(node.attr)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
            others.update(node.name.split("."))
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and len(node.value) < 40:
                others.add(node.value)
        elif isinstance(node, ast.AnnAssign):
            names.add("__annotations__")
        else:
            names.update(_names_of(node))
        calls = calls or not isinstance(node, _PLAIN)
    return Reach(frozenset(names), frozenset(loads), wild(names | (others - _HARMLESS_AS_ATTRIBUTE)), calls)


_PLAIN = (ast.Module, ast.Assign, ast.Expr, ast.Name, ast.Constant, ast.Load, ast.Store, ast.Import, ast.alias,
          ast.ImportFrom, ast.FunctionDef, ast.arguments, ast.arg, ast.Pass)  # fmt: skip
_HARMLESS_AS_ATTRIBUTE = frozenset({"eval"})  # a frame has one


def _names_of(node: ast.AST) -> Iterator[str]:
    """The names that stand in a node itself: of a definition, a handler, a pattern, a global statement."""
    for field in ("name", "rest"):
        if isinstance(name := getattr(node, field, None), str):
            yield name
    if isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names


def wild(words: set[str] | frozenset[str]) -> Wild:
    if words & _RUNS_LATER:
        return Wild.FROM_NOW_ON
    return Wild.NOW if words & _REACHES_ALL else Wild.NO


def of_code(objects: Iterator[Any], namespace: dict[str, Any]) -> Reach:
    """What functions reach, classes too: by the names in their code, where those mean the session's."""
    names: set[str] = set()
    reached = Wild.NO
    for each in objects:
        if isinstance(each, FunctionType):
            inside = _of_code(each.__code__)
            if each.__globals__ is namespace:
                names |= inside.names
            reached = max(reached, inside.wild)
        elif isinstance(each, type) and "__del__" in vars(each):
            reached = Wild.FROM_NOW_ON
    return Reach(frozenset(names), wild=reached)


@lru_cache(maxsize=4096)
def _of_code(code: CodeType) -> Reach:
    names, words = set(code.co_names), set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = _of_code(constant)
            names |= inner.names
            words |= inner.names
            if inner.wild is not Wild.NO:
                return Reach(frozenset(names), wild=inner.wild)
        elif isinstance(constant, str):
            words.add(constant)
    return Reach(frozenset(names), wild=wild(words))
