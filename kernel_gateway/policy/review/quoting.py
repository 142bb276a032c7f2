"""Agent text as a person may safely read it: between quotes, cut, and with nothing in it that hides or reorders."""

import unicodedata

MAX_QUOTED = 80  # characters of the text: enough to recognise an object by, too little to argue with

_SPECIAL = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_PLAIN = ("L", "N", "P", "S")  # letters, numbers, punctuation, symbols; not marks, separators, controls, formats
# Letters and symbols by their category that show nothing, or a blank (Hangul fillers, the empty Braille cell).
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def quote(text: str, limit: int = MAX_QUOTED) -> str:
    """`text` in double quotes, which never occur unescaped inside; all that is not plainly seen as `<U+202E>`."""
    cut = "…" if len(text) > limit else ""
    return f'"{"".join(map(_shown, text[:limit]))}{cut}"'


def _shown(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character == " " or (character.isascii() and character.isprintable()):
        return character
    if unicodedata.category(character)[0] in _PLAIN and character not in _BLANK:
        return character
    return f"<U+{ord(character):04X}>"
