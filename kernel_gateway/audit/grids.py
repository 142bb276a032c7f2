"""Secrets in a table (CSV, TSV, Markdown, psql, boxes, columns), told by the heading or by the name of the row."""

import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

from kernel_gateway.audit.judge import is_mixed, is_secret, label
from kernel_gateway.audit.names import Says, says, words
from kernel_gateway.audit.spans import BREAK, Span

# The end of a heading that says something, at the end of its cell.
_CUE = re.compile(
    r"(?:value|val|content|contents|current|secret|token|password|passwd|pass|pwd|psk|pw|key|keys|seed|code|codes|salt|phrase|credential|credentials|pin|otp"
    r"|passphrase|cookie|signature|auth)\b[\"'`* \\]{0,64}(?:[,;|\t\u2502\r\n]|\\t|\\r|\\n|[ ]{2})"
)
_BREAK = re.compile(BREAK)
_MARGIN = re.compile(r"[:=(>][\s\"'\\]{0,16}(?:&quot;)?")  # what a log puts before the first heading of a CSV text
_LINE_CHARACTERS = 4096
_HEADER_CHARACTERS = 512
_HEADING = re.compile(r"(?=[^A-Za-z]{0,8}[A-Za-z])[\w .()/#-]{1,40}")
_RULE = re.compile(r"[\s|+:=\u2500-\u257f-]{3,}$")
_DELIMITERS = tuple(map(re.compile, (r"[|\u2502\u2551]", r"\t|\\t", r";", r",", r"[ ]{2,}")))
_PLAIN_COMMA = _DELIMITERS[3]
_MARKS = " \t\r\n\"'`*[]\\+|\u2502\u2551"
_NAMES = words(
    "name key variable setting parameter param field property option env config item attribute var secret id"
    " label title"
)
_VALUES = words("value val content contents current data secret password token string setting plaintext default")


class _Cell(NamedTuple):
    text: str
    start: int


class _Columns(NamedTuple):
    width: int
    secret: dict[int, tuple[str, Says]]
    pair: tuple[int, int] | None  # where a row's name stands, and where its value
    strict: bool  # a sentence may be taken for this heading: only what cannot be a word


def find(text: str, lower: str) -> Iterator[Span]:
    if "\n" not in text and "\\n" not in text:
        return
    done = 0
    for cue in _CUE.finditer(lower):
        if cue.start() < done:
            continue
        begin = _line_begin(text, max(cue.start() - _HEADER_CHARACTERS, done), cue.start())
        end = _BREAK.search(text, cue.start(), cue.start() + _HEADER_CHARACTERS)
        if end is None:
            continue
        done = yield from _table(text, begin, cue.start(), end)


def _table(text: str, begin: int, cue: int, end: re.Match[str]) -> Generator[Span, None, int]:
    """The rows under the heading that ends at `end`; where they end. A log may have put something before it."""
    margin = max((found.end() for found in _MARGIN.finditer(text, begin, cue)), default=begin)
    for delimiter in _DELIMITERS:
        for start in dict.fromkeys((begin, margin)):
            cells = _cells(text, start, end.start(), delimiter)
            if len(cells) > 1 and (columns := _columns(cells, delimiter)) is not None:
                return (yield from _rows(text, end.end(), columns, delimiter))
    return cue


def _line_begin(text: str, limit: int, at: int) -> int:
    last = max(text.rfind("\n", limit, at) + 1, limit)
    if "\\" not in text[last:at]:
        return last
    for found in _BREAK.finditer(text, last, at):
        last = found.end()
    return last


def _cells(text: str, begin: int, end: int, delimiter: re.Pattern[str]) -> list[_Cell]:
    cells, at = [], begin
    for found in (*delimiter.finditer(text, begin, end), None):
        stop = found.start() if found else end
        raw = text[at:stop]
        cells.append(_Cell(raw.strip(_MARKS), at + len(raw) - len(raw.lstrip(_MARKS))))
        at = found.end() if found else end
    return (
        cells
        if delimiter is not _DELIMITERS[0]
        else [cell for place, cell in enumerate(cells) if cell.text or 0 < place < len(cells) - 1]
    )


def _columns(cells: list[_Cell], delimiter: re.Pattern[str]) -> _Columns | None:
    strict = False
    if delimiter is not _DELIMITERS[0]:
        first = cells[0].text
        strict = delimiter is _PLAIN_COMMA and " " in first
        cells = [_Cell(first.split()[-1] if strict else first, cells[0].start), *cells[1:]]
    names = [cell.text.lower() for cell in cells]
    if not all(_HEADING.fullmatch(name) for name in names):
        return None
    spoken = [(cell.text.replace(" ", "_"), says(cell.text.replace(" ", "_"))) for cell in cells]
    secret = {place: each for place, each in enumerate(spoken) if each[1] is not Says.NOTHING}
    named = next((place for place, name in enumerate(names) if _last(name) in _NAMES), None)
    valued = next((place for place, name in enumerate(names) if place != named and _last(name) in _VALUES), None)
    pair = (named, valued) if named is not None and valued is not None else None
    return _Columns(len(cells), secret, pair, strict) if secret or pair else None


def _last(name: str) -> str:
    return re.split(r"[ _.-]", name)[-1]


def _rows(text: str, at: int, columns: _Columns, delimiter: re.Pattern[str]) -> Generator[Span, None, int]:
    while at < len(text):
        stop = _BREAK.search(text, at, at + _LINE_CHARACTERS)
        end = stop.start() if stop else min(at + _LINE_CHARACTERS, len(text))
        if not _RULE.match(text[at:end]) or delimiter is _PLAIN_COMMA:
            cells = _cells(text, at, end, delimiter)
            if len(cells) < columns.width:
                break
            yield from _in_row(cells, columns)
        if stop is None:
            break
        at = stop.end()
    return at


def _in_row(cells: list[_Cell], columns: _Columns) -> Iterator[Span]:
    for place, (name, means) in columns.secret.items():
        cell = cells[place]
        value = cell.text.split()[-1] if place == 0 and cell.text else cell.text
        start = cell.start + len(cell.text) - len(value)
        if " " in value or len(value) < 4 or not is_secret(value, name, means, quoted=True):
            continue
        if is_mixed(value) or not columns.strict:
            yield Span(start, start + len(value), label(name))
    if columns.pair is not None:
        name, cell = cells[columns.pair[0]].text.replace(" ", "_"), cells[columns.pair[1]]
        means = says(name)
        if means is not Says.NOTHING and is_secret(cell.text, name, means, quoted=True):
            yield Span(cell.start, cell.start + len(cell.text), label(name))
