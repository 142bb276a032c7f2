"""What a process may ask of Linux, and the numbers of the calls: the commented data in containers/seccomp."""

import errno
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parents[2] / "containers" / "seccomp"  # beside the package, installed or not

SELF = 0x5E1F5E1F
"""Written "self" in the data: the process that installs the filter puts its own id there (`kernel_ext.confine`)."""


@dataclass(frozen=True, slots=True)
class Test:
    """Argument number `argument` & `mask` is one of `one_of`; `wide` looks at 64 bits, else the lower 32 count."""

    argument: int
    one_of: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Allowed where all of `require` hold; else refused with the error number `otherwise`."""

    require: tuple[Test, ...] = ()
    otherwise: int = errno.EPERM


@dataclass(frozen=True, slots=True)
class Profile:
    """Rules by the name of a call. What has neither a rule nor an answer of its own is refused with EPERM."""

    rules: Mapping[str, Rule]
    answers: Mapping[str, int]
    """Error numbers of calls that are refused with another one."""


@cache
def load(name: str) -> Profile:
    document = _document(name)
    base = load(document["base"]) if "base" in document else Profile({}, {})
    rules = dict(base.rules)
    for group in document.get("groups", {}).values():
        rules |= {call: Rule() for call in group["calls"].split()}
    rules |= {call: _rule(given) for call, given in document.get("arguments", {}).items()}
    for call in document.get("refused", {}).get("calls", "").split():
        del rules[call]
    answers = {
        call: getattr(errno, error) for error, calls in document.get("answers", {}).items() for call in calls.split()
    }
    return Profile(rules, {**base.answers, **answers})


def _document(name: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def _rule(given: Mapping[str, Any]) -> Rule:
    return Rule(tuple(_test(**test) for test in given["require"]), getattr(errno, given.get("otherwise", "EPERM")))


def _test(argument: int, one_of: list[int | str], **rest: Any) -> Test:
    return Test(argument, tuple(SELF if value == "self" else int(value) for value in one_of), **rest)


def _numbers() -> dict[str, dict[str, int]]:
    """{machine: {call: number}}; a call that a machine does not have is not there."""
    table = _document("numbers")["numbers"]
    return {
        "x86_64": {call: numbers[0] for call, numbers in table.items()},
        "aarch64": {call: numbers[1] for call, numbers in table.items() if len(numbers) == 2},
    }


NUMBERS = _numbers()
KERNEL, TEMPLATE, FILTERED = load("kernel"), load("template"), load("filtered")
