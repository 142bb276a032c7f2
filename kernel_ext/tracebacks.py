"""A traceback of what the reader wrote: the lines of cells, and nothing of what carries a call."""

import linecache
from traceback import walk_tb
from types import TracebackType
from typing import Any

_LINES_BEFORE, _LINES_AFTER = 2, 1
_MAX_LINE_CHARACTERS = 160
_MAX_FRAMES = 6  # of a recursion the first and the last are enough


def of_cells(traceback: TracebackType | None, shell: Any) -> list[str]:
    """One text for each frame of a cell, outermost first, with a few lines of its source."""
    frames = []
    for frame, number in walk_tb(traceback):
        label = shell.compile.format_code_name(frame.f_code.co_filename)
        if label is not None:
            frames.append(_frame(" ".join(label), frame.f_code.co_filename, frame.f_code.co_name, number))
    missing = len(frames) - _MAX_FRAMES
    if missing > 0:
        frames[_MAX_FRAMES // 2 : -_MAX_FRAMES // 2] = [f"[... {missing} frames left out ...]"]
    return frames


def _frame(cell: str, filename: str, function: str, number: int) -> str:
    place = f"{cell}, line {number}" + (f", in {function}" if not function.startswith("<") else "")
    lines = linecache.getlines(filename)
    first = max(1, number - _LINES_BEFORE)
    shown = [place]
    for at, line in enumerate(lines[first - 1 : number + _LINES_AFTER], first):
        mark = f"----> {at}" if at == number else f"{at:>7}"
        shown.append(f"{mark} {line.rstrip()[:_MAX_LINE_CHARACTERS]}".rstrip())
    return "\n".join(shown)
