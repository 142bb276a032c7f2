"""Secrets inside an encoded stretch of a text: percent-encoded (once or twice), or base64 of a readable text."""

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from kernel_gateway.audit.spans import Span

Finder = Callable[[str], Iterable[Span]]

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_RUN = re.compile(r"[^\s\"'<>`&]{8,}")  # an ampersand that is not encoded stands between two encoded words
_HEX = frozenset("0123456789abcdefABCDEF")
_MAX_PERCENT_LAYERS = 2


def inside_percent(text: str, find: Finder, layers: int = _MAX_PERCENT_LAYERS) -> Iterator[Span]:
    """What `find` sees in each percent-encoded word once it is decoded, in the place where it is in `text`."""
    if not layers or "%" not in text:
        return
    for run in _RUN.finditer(text):
        if _PERCENT.search(run[0]):
            plain, places = _unquoted(run[0])
            for span in (*find(plain), *inside_percent(plain, find, layers - 1)):
                start, end = places(span.start), places(span.end)
                yield Span(run.start() + start, run.start() + end, span.label)


def inside_base64(text: str, find: Finder) -> Iterator[Span]:
    """Base64 of a text in which `find` sees something, such as a key file in a Kubernetes object: all of it."""
    for run in _BASE64.finditer(text):
        encoded = run[0].replace("-", "+").replace("_", "/").rstrip("=")
        try:
            if not base64.b64decode(encoded[:40]).isascii():
                continue
            plain = base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode("ascii", "ignore")
        except binascii.Error:
            continue
        if next(iter(find(plain)), None) is not None:
            yield Span(*run.span(), "encoded")


def _unquoted(text: str) -> tuple[str, Callable[[int], int]]:
    """`text` with every %XX as one character, and where a position in that was in `text`."""
    first, *parts = text.split("%")
    plain = [first]
    for part in parts:
        is_escape = len(part) >= 2 and part[0] in _HEX and part[1] in _HEX
        plain.append(chr(int(part[:2], 16)) + part[2:] if is_escape else "%" + part)
    # where each part begins: in the plain text, and in the original
    plain_starts = [0, *accumulate(len(part) for part in plain)]
    starts = [0, *accumulate(len(part) + 1 for part in [first, *parts])]  # one too far: that of the % is at -1

    def place(at: int) -> int:
        index = bisect_right(plain_starts, at) - 1
        if index >= len(plain):
            return len(text)
        within = at - plain_starts[index]
        if index == 0:
            return within
        shortened = len(parts[index - 1]) + 1 - len(plain[index])
        return starts[index] - 1 + within + (shortened if within else 0)

    return "".join(plain), place
