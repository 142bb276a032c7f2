"""Secrets under the name of their column: `INSERT INTO t (columns) VALUES (values)`, and CSV under its first line."""

import re
from collections.abc import Iterator

from kernel_gateway.audit.names import Says, says
from kernel_gateway.audit.spans import BREAK, QUOTE, Span
from kernel_gateway.audit.judge import is_mixed, is_secret, label

_QUOTE = re.compile(QUOTE)
_SPACE = r"(?:\s|\\{1,15}[nrt]){0,16}"
_INTO = re.compile(
    rf"into[ ]{{1,4}}(?:[\w.\[\]]|{QUOTE}){{1,128}}{_SPACE}\(([^()]{{1,2048}})\){_SPACE}values{_SPACE}\(", re.IGNORECASE
)
_NEXT_VALUE = re.compile(
    rf"{_SPACE}[NEB]?(?:(?P<quote>{QUOTE})(?P<value>(?:(?P=quote){{2}}|(?!(?P=quote))[^\n]){{0,4096}})(?P=quote)"
    rf"|(?:[^\"'(),]|\([^()]{{0,256}}\)){{0,4096}}){_SPACE}(?P<end>[,)])"
)
_NEXT_ROW = re.compile(rf"{_SPACE},{_SPACE}\(")

_LAST_COLUMN = re.compile(rf"(,{QUOTE}?[\w.-]{{1,40}}{QUOTE}?){BREAK}")
_HEADER_CHARACTERS = 512
_BEFORE_HEADER = re.compile(r"[\s=:;(>]|\\{1,15}[nrt]")
_NAME = re.compile(r"[\w.-]{1,40}")
_ROW = re.compile(rf"((?:[^\r\n\\]|\\(?!\\{{0,15}}[nr])){{1,4096}})(?:{BREAK})?")
_CELL = re.compile(r"[^\s\"'\\]{6,512}")
_MARKS = " \t\r\n\"'`[]\\+"


def find(text: str, lower: str) -> Iterator[Span]:
    yield from _inserted(text, lower)
    yield from _under_a_header(text)


def _names(columns: str) -> list[str]:
    return [_QUOTE.sub("", name).strip(_MARKS) for name in columns.split(",")]


def _secret_columns(names: list[str]) -> dict[int, str]:
    """The places of those that are certain to be secret."""
    return {place: name for place, name in enumerate(names) if says(name) is Says.SECRET}


def _inserted(text: str, lower: str) -> Iterator[Span]:
    at = lower.find("into ")
    while at >= 0:
        end = at + 1
        if (into := _INTO.match(text, at)) is not None:
            columns = _secret_columns(_names(into[1]))
            spans, end = _rows(text, into.end(), columns) if columns else ([], into.end())
            yield from spans
        at = lower.find("into ", end)


def _rows(text: str, at: int, columns: dict[int, str]) -> tuple[list[Span], int]:
    spans, place = [], 0
    while (value := _NEXT_VALUE.match(text, at)) is not None:
        at = value.end()
        name = columns.get(place)
        if name and value["value"] and is_secret(value["value"], name, Says.SECRET, quoted=True):
            spans.append(Span(*value.span("value"), label(name)))
        place += 1
        if value["end"] == ")":
            if (row := _NEXT_ROW.match(text, at)) is None:
                break
            at, place = row.end(), 0
    return spans, at


def _under_a_header(text: str) -> Iterator[Span]:
    done = 0
    for last in _LAST_COLUMN.finditer(text):
        if last.start() < done:
            continue
        header = _BEFORE_HEADER.split(text[max(last.start() - _HEADER_CHARACTERS, done) : last.end(1)])[-1]
        names = _names(header)
        done = last.end()
        if (columns := _secret_columns(names)) and all(map(_NAME.fullmatch, names)):
            while (row := _ROW.match(text, done)) is not None and row[1].count(",") >= len(names) - 1:
                yield from _cells(row, columns)
                done = row.end()


def _cells(row: re.Match[str], columns: dict[int, str]) -> Iterator[Span]:
    """Only what cannot be a word or an identifier; in front of the first cell stands what a log puts before a line."""
    at = row.start()
    for place, cell in enumerate(row[1].split(",")):
        if (name := columns.get(place)) and (found := list(_CELL.finditer(cell))):
            value = found[-1 if place == 0 else 0]
            if is_mixed(value[0]) and is_secret(value[0], name, Says.SECRET, quoted=False):
                yield Span(at + value.start(), at + value.end(), label(name))
        at += len(cell) + 1
