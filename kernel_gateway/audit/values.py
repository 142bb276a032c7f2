"""What stands behind a secret's name: `password=...`, `"api_key": "..."`, `--token ...`, `<secret>...</secret>`."""

import re
from collections.abc import Iterator

from kernel_gateway.audit import separators
from kernel_gateway.audit.judge import is_identifier, is_mixed, is_unwritten
from kernel_gateway.audit.literals import (
    ENCODED,
    IN_MARKUP,
    LINE,
    OPENING,
    UNQUOTED,
    assigned,
    judged,
    prose,
    quoted,
    unquoted,
)
from kernel_gateway.audit.names import FOREIGN, FOREIGN_WORDS, Says, in_english, says, words
from kernel_gateway.audit.spans import Span, any_of, shortest

_ANCHORS = (
    *("pass", "pw", "secret", "token", "key", "auth", "cred", "sig", "cookie", "jwt", "hmac", "sas", "psk", "_pat"),
    *("code", "pin", "otp", "phrase", "mnemonic", "seed", "communit", "words", "sid", "session", "salt"),
    *("pat=", 'pat"', "pat'", "pat:", "pat\\", "pat ", "pswd", "psswd", "pword", "pepper", "xprv"),
    *FOREIGN_WORDS,
)
_ANCHOR = re.compile(any_of(sorted(shortest(_ANCHORS))))
# "api key", "recovery codes", "seed phrase": the word before says what it is
_SEPARATORS = (
    separators.DEFAULT,
    separators.BESIDE_VALUE,
    separators.ASSIGNED,
    separators.IN_PAIR,
    separators.FALLBACK,
    separators.MEASURED,
    separators.OPTION_BESIDE,
)
_OF_TWO_WORDS = words("key keys code codes phrase words seed pin community pat")
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-")
_MAX_NAME_CHARACTERS = 80
_NAME_END = re.compile(r"[A-Za-z0-9_.-]{0,40}")
_FLAG = re.compile(r"--|-(?!p)|-pass")  # -psecret is a value of mysql
_WORDS_BEFORE = re.compile(r"(?:[a-z0-9-]{1,16}[ ]){1,3}$")
_PLAIN_WORD = re.compile(r"[A-Z]?[a-z]+\s*$")
_OPTION = re.compile(r"-[DP](?=[A-Za-z])")  # java -Dname=value, gradle -Pname=value


def find(text: str, lower: str) -> Iterator[Span]:
    hit = _ANCHOR.search(lower)
    while hit is not None:
        at = hit.start()
        stop = _name_end(text, at)
        span = _at(text, lower, at, stop)
        if span is not None:
            yield span
            if (changed := separators.CHANGED.match(text, span.end)) is not None:
                yield Span(*changed.span("value"), span.label)
        hit = _ANCHOR.search(lower, max(span.end if span else 0, stop, at + 1))


def _name_end(text: str, at: int) -> int:
    foreign = FOREIGN.match(text, at)
    begin = foreign.end() if foreign else at
    end = _NAME_END.match(text, begin)
    assert end is not None  # it matches nothing too
    return begin + len(end[0].rstrip("."))  # the end of a sentence, or dots up to a colon


def _at(text: str, lower: str, at: int, stop: int) -> Span | None:
    start = at
    while start > 0 and at - start < _MAX_NAME_CHARACTERS and lower[start - 1] in _NAME_CHARACTERS:
        start -= 1
    if text.endswith("[redacted:", 0, start):
        return None
    name = in_english(_without_escape(text, start, at, stop))
    means = says(name)
    if means is Says.NOTHING and _OPTION.match(name):
        means = says(name[2:])
    if means is not Says.SECRET and lower[start:stop] in _OF_TWO_WORDS:
        words_before = _WORDS_BEFORE.search(lower, max(start - 24, 0), start)
        name = ((words_before[0] if words_before else "") + lower[start:stop]).replace(" ", "_")
        means = max(means, says(name))
    return None if means is Says.NOTHING else _value(text, start, stop, name, means)


def _without_escape(text: str, start: int, at: int, stop: int) -> str:
    """The name without the tail of an escape that stands before it: \\n, %22, \\u0022."""
    if start and text[start - 1] == "\\" and start < at:
        start += 5 if text[start] == "u" else 3 if text[start] == "x" else 1
    elif start and text[start - 1] == "%":
        start += 4 if text.startswith("25", start) else 2
    return text[min(start, at) : stop]


def _begins_element(text: str, start: int) -> bool:
    """`<password`, `&lt;password`, `<ns:password`"""
    before = text[max(start - 40, 0) : start]
    return before.endswith(("<", "&lt;")) or (before.endswith(":") and separators.NAMESPACE.search(before) is not None)


def _value(text: str, start: int, stop: int, name: str, means: Says) -> Span | None:
    before = text[max(start - 80, 0) : start]
    if before.endswith("/") and means is not Says.SECRET and separators.TAG.match(text, stop):
        return None
    if before.endswith(":") and separators.RESOURCE.search(before):
        return None
    if name == "PASS" and text[stop : stop + 2].lstrip(":").startswith(" "):  # a test that passed
        return None
    if before.endswith("${") and text.startswith((":?", ":+"), stop):  # what a shell says where it is not set
        return None
    if _begins_element(text, start) and (tag := separators.IN_TAG.match(text, stop)):
        if text.startswith(("'", '"', "`"), tag.end()):  # "<password>": stands where one will be
            return None
        return judged(text, IN_MARKUP.match(text, tag.end()), name, means)
    if (label := separators.LABELLED.match(text, stop)) is not None:
        return _argument(text, label.end(), name, means)
    if (element := separators.IN_NEXT_ELEMENT.match(text, stop)) is not None:
        value = IN_MARKUP.match(text, element.end())
        if value and element["element"] and _PLAIN_WORD.match(value[0]) and ":" not in text[stop : element.end()]:
            return judged(text, value, name, means) if element["element"].lower() in separators.WHOLE else None
        whole = (
            not before.lower().endswith("th>")
            and (element["element"] or element["inner"] or "").lower() in separators.WHOLE
        )
        return judged(text, value, name, means) if whole or (value and " " not in value[0].strip()) else None
    for pattern in _SEPARATORS:
        if (separator := pattern.match(text, stop)) is not None:
            is_encoded = pattern is separators.ASSIGNED and separator["encoded"]
            return assigned(text, separator.end(), name, means, ENCODED if is_encoded else UNQUOTED)
    if (ahead := _ahead(text, start, before, name, means)) is not None:
        return ahead
    if ("." in name or separators.SETTER.match(name)) and (call := separators.CALLED.match(text, stop)):
        span = _argument(text, call.end(), name, means)
        return span if span and (is_mixed(text[span.start : span.end]) or "pass" in name.lower()) else None
    if before.rstrip("\"'\\").lower().endswith((" name=", " key=")):
        if (form := separators.IN_FORM.match(text, stop)) is not None:
            return judged(text, LINE.match(text, form.end()), name, means)
        if (element := separators.IN_ELEMENT.match(text, stop)) is not None:
            return judged(text, IN_MARKUP.match(text, element.end()), name, means)
    if before.endswith(("{", ":")) and (atom := separators.ATOM.match(text, stop)) is not None:
        return _argument(text, atom.end(), name, means)
    if _FLAG.match(name) and (separator := separators.AFTER_FLAG.match(text, stop)):
        return _argument(text, separator.end(), name, means)
    if separators.SETTING.search(before) and (separator := separators.AFTER_SETTING.match(text, stop)):
        return _argument(text, separator.end(), name, means)
    if means is Says.SECRET and (below := separators.BELOW.match(text, stop)) and _is_alone(below["value"], name):
        return judged(text, below, name, means, "value")
    if (cell := _cell(text, before, stop, name, means)) is not None:
        return cell
    if name.lower().endswith(("secrets", "passwords")):  # of many, none is told in prose
        return None
    if means is Says.SECRET and (value := separators.VALUE_BEFORE.search(before)) is not None:
        span = judged(before, value, name, means, "value")
        if span is not None and is_mixed(value["value"]):
            offset = start - len(before)
            return Span(offset + span.start, offset + span.end, span.label)
    if (separator := separators.IN_PROSE.match(text, stop)) is not None:
        return prose(text, separator, name, means)
    return None


def _is_alone(value: str, name: str) -> bool:
    return is_unwritten(value) or ("pass" in name and len(value) >= 10 and is_mixed(value) and not is_identifier(value))


def _ahead(text: str, start: int, before: str, name: str, means: Says) -> Span | None:
    """The value that stands before its name in the same object or element."""
    if not before.endswith(('"', "'", ":", "/", ".")):
        return None
    begin = max(start - 640, 0)
    found = separators.VALUE_AHEAD.search(text[begin:start])
    span = judged(found.string, found, name, means, "value") if found else None
    return Span(begin + span.start, begin + span.end, span.label) if span else None


def _argument(text: str, at: int, name: str, means: Says) -> Span | None:
    opening = OPENING.match(text, at)
    return quoted(text, opening, name, means) if opening else unquoted(text, at, name, means)


def _cell(text: str, before: str, stop: int, name: str, means: Says) -> Span | None:
    """The next cell of a row, unless the name is the heading of a column."""
    if (between := separators.IN_CELL.match(text, stop)) is None or not separators.ROW_BEGINS.search(before):
        return None
    if (value := separators.CELL.match(text, between.end())) is None:
        return None
    is_row = "\t" not in between[0] and not separators.RULE_BELOW.match(text, stop)
    return judged(text, value, name, means) if is_row or is_mixed(value[0]) else None
