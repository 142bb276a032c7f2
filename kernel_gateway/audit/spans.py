"""Stretches of a text that must go, and the way to find them in one pass.

Every rule has an anchor: lower-case text that each of its matches contains. All anchors are looked for in one pass, and
only where one is, a pattern is tried, at a known position. No pattern scans further than its own match, and a
match is never entered again, so the time is linear in the text, also for a hostile one.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

MAX_VALUE_CHARACTERS = 8192

# What stands before a token: no letter or digit, unless they are the end of an escape (\n %3D \u003d).
EDGE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbfv])|(?<=%[0-9A-Fa-f]{2})|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
# A quotation mark: plain, backslash-escaped, HTML, percent-encoded once or twice, or \u0022.
QUOTE = r"""(?:\\{0,15}(?:["'`]|&quot;|&\#34;|&\#x27;|&\#39;)|%(?:25)?2[27]|\\u00(?:22|27))"""
# A new line, plain or escaped, and what comes before the next: of a notebook's list, of a time, of a diff or curl -v.
BREAK = (
    r"""(?:(?:\r|\\{1,15}r)?(?:\n|\\{1,15}n)(?:\\{0,15}",[ ]?\\{0,15}")?(?:\d{4}-\d\d-\d\dT[\d:.]{8,20}Z[ ])?[+>|-]?)"""
)
SPACE = r"(?:[ \t\u00a0]|%20){0,16}"


class Span(NamedTuple):
    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` is tried `before` characters ahead of each `anchor`. Where it has groups, the one that matched is what
    must go; a pattern that matches without any of its groups says: nothing here, go on after it."""

    anchor: str
    pattern: re.Pattern[str]
    label: str
    before: int = 0


class Rules:
    """Rules that are looked for together: one pass over the text for all anchors."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        ordered = sorted(rules, key=lambda rule: rule.anchor)
        anchors = shortest(rule.anchor for rule in ordered)
        self._anchor = re.compile(any_of(sorted(anchors)))
        self._rules = {anchor: [rule for rule in ordered if rule.anchor.startswith(anchor)] for anchor in anchors}

    def find(self, text: str, lower: str) -> Iterator[Span]:
        done: dict[int, int] = {}  # how far a rule has matched
        hit = self._anchor.search(lower)
        while hit is not None:
            at = hit.start()
            for rule in self._rules[hit[0]]:
                if at < done.get(id(rule), 0) or not lower.startswith(rule.anchor, at):
                    continue
                match = rule.pattern.match(text, max(at - rule.before, 0))
                if match is not None:
                    done[id(rule)] = match.end()
                    if match.lastindex or not rule.pattern.groups:
                        yield Span(*match.span(match.lastindex or 0), rule.label)
            hit = self._anchor.search(lower, at + 1)


def shortest(anchors: Iterable[str]) -> set[str]:
    """Without those that begin with another: they are found where that one is."""
    each = set(anchors)
    return {a for a in each if not any(a.startswith(b) for b in each if b != a)}


def any_of(words: list[str]) -> str:
    """A pattern for any of `words`, none of which begins another: one branch per letter, so that most fail at once."""
    branches = [
        re.escape(first) + (any_of(rests) if any(rests) else "")
        for first, group in groupby(words, key=lambda word: word[0])
        for rests in [[word[1:] for word in group]]
    ]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


def replace(text: str, spans: Iterable[Span]) -> str:
    """`text` with each span, or each run of overlapping ones, replaced by `[redacted:label]` of the first."""
    parts, at = [], 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start >= at:
            parts += [text[at : span.start], f"[redacted:{span.label}]"]
        at = max(at, span.end)
    return "".join([*parts, text[at:]])


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def lowered(text: str) -> str:
    """Lower case with every character in its place (a few characters become two in lower case)."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text.translate(_ASCII_LOWER)
