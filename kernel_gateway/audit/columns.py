"""Secrets under the name of their column: `INSERT INTO t (columns) VALUES (values)`."""

import re
from collections.abc import Iterator

from kernel_gateway.audit.judge import is_secret, label
from kernel_gateway.audit.names import Says, says
from kernel_gateway.audit.spans import QUOTE, Span

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

_MARKS = " \t\r\n\"'`[]\\+"


def _names(columns: str) -> list[str]:
    return [_QUOTE.sub("", name).strip(_MARKS) for name in columns.split(",")]


def _secret_columns(names: list[str]) -> dict[int, str]:
    return {place: name for place, name in enumerate(names) if says(name) is not Says.NOTHING}


def find(text: str, lower: str) -> Iterator[Span]:
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
        if name and value["value"] and is_secret(value["value"], name, says(name), quoted=True):
            spans.append(Span(*value.span("value"), label(name)))
        place += 1
        if value["end"] == ")":
            if (row := _NEXT_ROW.match(text, at)) is None:
                break
            at, place = row.end(), 0
    return spans, at
