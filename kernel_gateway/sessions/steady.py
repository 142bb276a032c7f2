"""What of an output another run of the same cell would show again: without times, durations, ids and addresses. Pure.

The kinds of text that change by themselves are those that nbval's users sanitize for (computationalmodelling/nbval).
"""

import re

MAX_CHARACTERS = 8192
"""Of one cell's outputs together. What goes beyond is compared as it stands: to look through these takes a millisecond,
and eight where a cell made them for that."""

_VARYING = re.compile(
    r"(?P<time>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|\b\d\d?:\d\d:\d\d(?:\.\d{1,9})?\b|\b1[5-9]\d{8}(?:\.\d{1,9})?\b)"
    r"|(?P<id>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|(?<![A-Za-z0-9_])[a-z]{1,16}_[0-9a-f]{8,64}\b"
    r"|\b[0-9a-f]{24,64}\b)"
    r"|(?P<address>\b0x[0-9a-fA-F]{6,16}\b)"
    r"|(?P<duration>\b\d{1,15}(?:\.\d{1,15})?(?:e[+-]?\d{1,3})? ?(?:[num\u00b5\u03bc]?s|sec|seconds?|min|minutes?)\b)"
)


def steady(text: str, at_most: int = MAX_CHARACTERS) -> str:
    """`text` with <time>, <id>, <address> and <duration> in the place of those; as it is where it is longer."""
    if len(text) > at_most:
        return text
    return _VARYING.sub(lambda found: f"<{found.lastgroup}>", text)
