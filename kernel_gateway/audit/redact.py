"""Removes secrets from text: the backstop for anything textual that is stored, logged or shown.

The first line of defence is that events hold typed metadata only. This is for what is text by nature: messages of
upstreams, tracebacks, log lines. It goes by structure (names, headers, URLs, issuers' prefixes), never by entropy, so
identifiers stay readable; and `Redactor` also removes exact values that this process knows to be secret.
"""

import re
from collections.abc import Iterable, Iterator

from kernel_gateway.audit import (
    calls,
    columns,
    commands,
    grids,
    headers,
    links,
    logins,
    paths,
    protocols,
    shapes,
    tokens,
    values,
)
from kernel_gateway.audit.known import KnownValues
from kernel_gateway.audit.layers import inside_base64, inside_percent
from kernel_gateway.audit.spans import Span, lowered, replace

# Longer text is cut here: what was not looked at does not pass.
MAX_CHARACTERS = 4 * 1024 * 1024
_EDGE_CHARACTERS = 4096  # at a cut, a token may be too short to be recognised: this much goes with it
_CUT = "[redacted:too-long]"

# Colours, cursor movements, titles and character sets: as a terminal gets them, or as the text of an escape (\x1b[31m).
# Sequences that no program prints are not taken for one, or `\x1b[` before a name would take its first letter away.
_WRITTEN = r"(?:\\x1b|\\u001b|\\033|\\e)"
_ESC = rf"(?:\x1b|{_WRITTEN})"
_ANSI = re.compile(
    rf"(?:{_ESC}\[|\x9b)(?:[0-?]{{0,64}}[@A-Zm]|[0-?]{{1,64}}[!\"$']?[a-z~]|[0-6]? q)"
    rf"|\x1b\][^\x07\x1b]{{0,2048}}(?:\x07|\x1b\\)|{_WRITTEN}\][^\x07\x1b\\]{{0,2048}}(?:\x07|\\x07|\\a|\\u0007)"
    rf"|{_ESC}[()*+][AB0-2]|\x1b"
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def redact(text: str) -> str:
    """`text` without ANSI sequences, and with `[redacted:kind]` in the place of everything that looks like a secret."""
    plain = _plain(text)
    return replace(plain, _structural(plain)) + (_CUT if len(text) > MAX_CHARACTERS else "")


class Redactor:
    """`redact`, and the exact values of `known` and of everything registered since, in any encoding."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = KnownValues(known)

    def __repr__(self) -> str:
        return f"<Redactor {self._known!r}>"

    def register(self, value: str) -> None:
        """Values shorter than eight characters are ignored: they would take ordinary words with them."""
        self._known.add(value)

    def redact(self, text: str, at_most: int = MAX_CHARACTERS) -> str:
        """`text`, cut after `at_most` characters where it is longer, or up to _EDGE_CHARACTERS before."""
        plain = _plain(text, at_most)
        spans = [*self._known.find(plain), *_structural(plain)]
        return replace(plain, spans) + (_CUT if len(text) > at_most else "")


def _plain(text: str, at_most: int = MAX_CHARACTERS) -> str:
    if len(text) > at_most:
        text = text[:at_most]
        edge = max(text.rfind(white, len(text) - _EDGE_CHARACTERS) for white in (" ", "\n", "\t"))
        text = text[: edge if edge >= 0 else len(text) - _EDGE_CHARACTERS]
    if "\x1b" in text or "\x9b" in text or "\\" in text:
        text = _ANSI.sub("", text)
    return text if text.isascii() else _INVISIBLE.sub("", text)


def _structural(text: str) -> Iterator[Span]:
    yield from _spans(text)
    yield from inside_percent(text, _spans)
    yield from inside_base64(text, _spans)


def _spans(text: str) -> Iterator[Span]:
    lower = lowered(text)
    yield from headers.find(text, lower)
    yield from links.find(text)
    yield from paths.find(text)
    yield from commands.find(text, lower)
    yield from tokens.find(text, lower)
    yield from shapes.find(text, lower)
    yield from values.find(text, lower)
    yield from protocols.find(text, lower)
    yield from calls.find(text, lower)
    yield from logins.find(text, lower)
    yield from columns.find(text, lower)
    yield from grids.find(text, lower)
