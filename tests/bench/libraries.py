"""A cProfile by library: whose code the processor was in. Built-in functions count for whoever called them.

Only the standard library: the profile of a kernel runs this very source inside the sandbox.
"""

import cProfile
import pstats
from collections import Counter
from pathlib import PurePath
from typing import Any

Function = tuple[str, int, str]  # file, line, name, as pstats has it

_BUILT_IN = "~"
_IDLE = ("<method 'poll' of 'select.epoll' objects>", "<built-in method builtins.input>")
_WAITS = ("<built-in method time.sleep>", "<method 'acquire' of '_thread.lock' objects>")
_OURS = ("kernel_gateway", "kernel_ext", "catalog", "tests")
_PACKAGES = ("/site-packages/", "/opt/kernel/")  # the second is where a sandbox has them
_LISTED = 15


def by_library(profile: cProfile.Profile) -> dict[str, Any]:
    """Milliseconds: "libraries" and "waits" by name, "functions" as [where, calls, ms]. The idle loop is left out."""
    stats: dict[Function, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    libraries: Counter[str] = Counter()
    waits: Counter[str] = Counter()
    functions: list[tuple[str, int, float]] = []
    for function, (_, calls, own_seconds, _, callers) in stats.items():
        if function[2] in _IDLE:
            continue
        if function[2] in _WAITS:
            waits[function[2]] += own_seconds * 1000
            continue
        if function[0] == _BUILT_IN:
            for caller, spent in callers.items():
                libraries[library(caller)] += spent[2] * 1000
        else:
            libraries[library(function)] += own_seconds * 1000
        functions.append((_where(function), calls, own_seconds * 1000))
    functions.sort(key=lambda each: -each[2])
    return {"libraries": dict(libraries.most_common()), "waits": dict(waits), "functions": functions[:_LISTED]}


def library(function: Function) -> str:
    """The package that a function belongs to."""
    file = function[0]
    if file == _BUILT_IN:
        return "built-in"
    for name in _OURS:
        if name in PurePath(file).parts:
            return name
    for packages in _PACKAGES:
        if packages in file:
            return PurePath(file.partition(packages)[2]).with_suffix("").parts[0]
    return "asyncio" if "asyncio" in PurePath(file).parts else "standard library"


def _where(function: Function) -> str:
    file, line, name = function
    return name if file == _BUILT_IN else f"{library(function)} {PurePath(file).name}:{line} {name}"
