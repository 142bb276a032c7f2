"""Agent text as a person may safely read it: nothing in it hides, reorders or is left out. A quotation may be cut."""

import re
import unicodedata
from collections.abc import Callable
from itertools import groupby

MAX_QUOTED = 80  # characters of the text: enough to recognise an object by, too little to argue with

_SPECIAL = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_PLAIN = ("L", "N", "P", "S")  # letters, numbers, punctuation, symbols; not marks, separators, controls, formats
# Letters and symbols by their category that show nothing, or a blank (Hangul fillers, the empty Braille cell).
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_RETURN = re.compile("\r\n?")  # ends a line for Python
_RARE = re.compile("[^\t\n -~]+")
_LEFTWARD = ("R", "AL", "AN")  # bidirectional classes that take their neighbours along


def quote(text: str, limit: int = MAX_QUOTED) -> str:
    """`text` in double quotes, which never occur unescaped inside; all that is not plainly seen as `<U+202E>`."""
    cut = "…" if len(text) > limit else ""
    return f'"{_ordered(text[:limit], _quoted)}{cut}"'


def escaped(code: str) -> str:
    """All of `code`, with Python's lines as its lines, and everything that is not plainly seen as `<U+001B>`."""
    lines = _RETURN.sub(lambda match: "<U+000D>\n", code)
    return _RARE.sub(lambda match: _ordered(match[0], _shown), lines)


def _ordered(text: str, shown: Callable[[str], str]) -> str:
    """Letters that are written from right to left are isolated run by run, so that nothing around them moves."""
    runs = groupby(text, lambda each: unicodedata.bidirectional(each) in _LEFTWARD)
    parts = ((is_leftward, "".join(map(shown, run))) for is_leftward, run in runs)
    return "".join(f"\u2068{part}\u2069" if is_leftward else part for is_leftward, part in parts)


def _quoted(character: str) -> str:
    return _SPECIAL.get(character) or _shown(character)


def _shown(character: str) -> str:
    if character == " " or (character.isascii() and character.isprintable()):
        return character
    if unicodedata.category(character)[0] in _PLAIN and character not in _BLANK:
        return character
    return f"<U+{ord(character):04X}>"
