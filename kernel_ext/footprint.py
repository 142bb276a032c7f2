"""Keeps what kernels touch on few pages: every page that a forked kernel writes to becomes its own copy.

In CPython to use an object is to write to it, for its reference count lies in it. What a kernel uses of a template's
hundred megabytes are some thousand names and functions, scattered over as many pages. So the image holds a record of
them (containers/record_footprint.py), and a template puts them side by side. Without the record all works, on more
pages. Nothing here changes what any code means.

Imported before all else that a kernel needs: a name lies where it was first interned.
"""

import sys

_RECORD = f"{__file__.rpartition('/')[0]}.footprint"
_POOL_BYTES = 16 * 1024  # in which pymalloc keeps objects of one size (Objects/obmalloc.c)
_POOL_HEAD_BYTES = 48
_LARGEST_POOLED = 512
_LARGEST_FILLED = 4096
_MOST_FILLED = 50_000  # of one size; there are fewer holes
_MALLOC_HEAD = 16


def _read() -> tuple[list[str], set[tuple[str, ...]]]:
    """Names, and what `identity` says of code. No import, no JSON: what they bring would be interned first."""
    try:
        with open(_RECORD, encoding="utf-8") as file:  # noqa: PTH123 -- pathlib would bring its names
            names, _, codes = file.read().partition("\n\n")
    except OSError:
        return [], set()
    return names.split("\n"), {tuple(line.split("\t")) for line in codes.split("\n")}


def _fill_holes() -> list[object]:
    """Takes what is free between other objects, so that what is made next lies in a row. What it returns is kept."""
    kept: list[object] = []
    for size in range(16, _LARGEST_FILLED, 16):
        in_a_row = (_POOL_BYTES - _POOL_HEAD_BYTES) // size - 1 if size <= _LARGEST_POOLED else 4
        step = size if size <= _LARGEST_POOLED else size + _MALLOC_HEAD
        last = run = 0
        for number in range(_MOST_FILLED):
            one = _of_size(size, number)
            kept.append(one)
            run = run + 1 if id(one) == last + step else 0
            if run == in_a_row:
                break
            last = id(one)
    return kept


def _of_size(size: int, number: int) -> object:
    """A new object of so many bytes."""
    if size == 16:
        return object()
    return 1_000_000 + number if size == 32 else bytes(size - _EMPTY_BYTES)


_EMPTY_BYTES = sys.getsizeof(b"")
_kept: list[object] = []
_names, _codes = _read()
if _names:
    _kept += _fill_holes()
    _kept += [sys.intern(name) for name in _names]

from collections.abc import Iterable  # noqa: E402 -- after the names
from types import CodeType, FunctionType  # noqa: E402


def identity(code: CodeType) -> tuple[str, str, str]:
    """What names code wherever its package is installed."""
    return "/".join(code.co_filename.split("/")[-2:]), code.co_qualname, str(code.co_firstlineno)


def gather(objects: Iterable[object]) -> None:
    """Moves the code of recorded functions together. `objects` are all there are (gc.get_objects)."""
    if not _codes:
        return
    moved: dict[int, CodeType] = {}

    def is_used(code: CodeType) -> bool:
        return identity(code) in _codes or any(isinstance(each, CodeType) and is_used(each) for each in code.co_consts)

    def copied(code: CodeType) -> CodeType:
        if id(code) not in moved:
            _kept.append(code)  # else the next copy would take its place
            moved[id(code)] = code.replace(co_consts=tuple(constant(each) for each in code.co_consts))
        return moved[id(code)]

    def constant(each: object) -> object:
        return copied(each) if isinstance(each, CodeType) and is_used(each) else each

    used = [each for each in objects if type(each) is FunctionType and is_used(each.__code__)]
    _kept.extend(_fill_holes())
    for function in used:
        function.__code__ = copied(function.__code__)


def settle() -> None:
    """The last step before the first fork: what a kernel makes anew goes to pages of its own, and not into holes."""
    forget = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache
    forget()  # else every lookup of a method in a kernel would let go of a name that the template looked up
    _kept.extend(_fill_holes())
