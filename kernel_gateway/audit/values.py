"""What stands behind a secret's name: `password=...`, `"api_key": "..."`, `--token ...`, `<secret>...</secret>`."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from kernel_gateway.audit.names import FOREIGN, FOREIGN_WORDS, Says, in_english, says, words
from kernel_gateway.audit.spans import BREAK, MAX_VALUE_CHARACTERS, QUOTE, SPACE, Span

_ANCHORS = (
    "pass",
    "pw",
    "secret",
    "token",
    "key",
    "auth",
    "cred",
    "sig",
    "cookie",
    "jwt",
    "hmac",
    "sas",
    "psk",
    "_pat",
    *FOREIGN_WORDS,
)
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-")
_MAX_NAME_CHARACTERS = 80
_UNQUOTED_CHARACTERS = 64  # how far an unquoted value is read before it is judged

_NAME_END = re.compile(r"[A-Za-z0-9_.-]{0,40}")
_TYPE = r"(?:str|bytes|string|SecretStr|Optional\[str\]|str \| None|Final(?:\[str\])?|char ?\*)"
_ASSIGNED = re.compile(
    rf"{QUOTE}?\]?{SPACE}(?:\.{{2,60}}(?=[ ]?:)[ ]?)?"
    rf"(?::{SPACE}{_TYPE}{SPACE}=|"
    r"(?P<encoded>%(?:25)?3[AaDd]|%(?:25)?5[Dd]%(?:25)?3[Dd])|"
    rf"[=]>|:=|={{1,3}}|::?|[\uff1a\uff1d]|\\u003[dD]|&\#61;){SPACE}"
)
_IN_PAIR = re.compile(rf"{QUOTE}{SPACE},{SPACE}(?=[bru]?{QUOTE})")  # ("password", "..."), ["password", "..."]
_ATTRIBUTES = rf"(?:\s{{1,8}}[\w:-]{{1,32}}={QUOTE}[^<>\"'\n\\]{{0,64}}{QUOTE}){{0,3}}"
_BESIDE_VALUE = re.compile(  # {"name": "password", "value": "..."}, key="password" value="...", YAML on two lines
    rf"{QUOTE}{_ATTRIBUTES}(?:\s{{0,32}},)?\s{{0,32}}{QUOTE}?(?i:value){QUOTE}?{SPACE}[:=]{SPACE}"
    rf"|[ \t]{{0,16}}{BREAK}[ \t]{{0,64}}(?i:value){SPACE}:{SPACE}|,[ ]{{1,8}}(?i:value):{SPACE}"
)
_IN_ELEMENT = re.compile(
    rf"{QUOTE}{_ATTRIBUTES}\s{{0,8}}>\s{{0,32}}(?:<(?i:value)>)?(?=[^<\s])"
)  # <entry key="password">
_IN_TAG = re.compile(r"(?:[ \t][^<>\n]{0,100})?(?:>|&gt;)(?:<!\[CDATA\[)?")
_NAMESPACE = re.compile(r"(?:<|&lt;)[\w.-]{1,32}:$")
_AFTER_FLAG = re.compile(r"[ \t]{1,16}(?!-)")
_IN_PROSE = re.compile(
    rf"{QUOTE}?[ \t]{{1,4}}(?:[|\u2502][ \t]{{1,8}})?"
    rf"(?P<copula>(?i:->|is|was|(?:set[ ])?to|as|be|of|value|provided|supplied|given)[ \t]{{0,4}}:?[ \t]{{1,4}}"
    rf"|(?i:for)[ ][^\s:=]{{1,64}}[ ]{{0,4}}[:=][ ]{{0,4}})?"
)

_IN_FORM = re.compile(rf"\\{{0,15}}[\"']?(?:{BREAK}[ ]?){{2}}")  # name="password", an empty line: multipart/form-data
_LINE = re.compile(r"[^\r\n\\]{1,4096}")
_QUOTED = rf"(?:[bruf]{{1,2}}(?=[\"']))?(\"\"\"|'''|{QUOTE})"
_OPENING = re.compile(_QUOTED, re.IGNORECASE)
_IN_PARENTHESES = re.compile(rf"\(\s{{0,64}}{_QUOTED}", re.IGNORECASE)
_DOUBLE_QUOTED = re.compile(rf'(?:[^"\\\n]|\\[^\n]){{0,{MAX_VALUE_CHARACTERS}}}')
_SINGLE_QUOTED = re.compile(rf"(?:[^'\\\n]|\\[^\n]){{0,{MAX_VALUE_CHARACTERS}}}")
_LIST = re.compile(rf"\[[^\[\]\n]{{1,{MAX_VALUE_CHARACTERS}}}")
_OBJECT = re.compile(rf"\{{(?=\s{{0,32}}(?:{QUOTE}|\\n|\}}))")
_IN_OBJECT = re.compile(  # {"token": {"type": "plain", "value": "..."}}
    rf"[^{{}}]{{0,256}}?{QUOTE}(?i:value|val|data|raw|text|plain|plaintext|content|string|stringData){QUOTE}{SPACE}:{SPACE}(?={QUOTE})"
)
_NEXT_LINE = re.compile(r"[ \t]{0,8}\r?\n[ \t]{1,64}")
_BLOCK = re.compile(rf"[|>][+-]?\d?[ \t]{{0,8}}{BREAK}([ \t]{{1,64}})(?P<value>[^\n\\]{{1,4096}})")  # of YAML
_BLOCK_REST = re.compile(r"(?:\n[ \t][^\n]{0,4096}){0,200}")
_ALONE = re.compile(r"[^\s\"'`<>{}\[\]]{8,4096}(?=[ \t]{0,8}\r?(?:\n|$))")
_WORDS = re.compile(r"[a-z]{3,12}(?:[ -][a-z]{3,12}){3,23}(?=[ \t]{0,8}(?:\r?\n|$|[\"'`]))")
# A comma, semicolon or ampersand ends it only where something new begins, for a password may hold one.
_UNQUOTED = re.compile(
    r"""(?:[^\s"'`<>,;&\\]{1,256}|,(?![\s"'{\[]|[\w.-]{1,40}["']?[=:]|$)|;(?!\s|[\w. -]{1,40}=|$)"""
    r"""|&(?!amp;|quot;|lt;|gt;|\#|[\w.%\[\]-]{1,60}=|[\s&]|$)|\\(?![nrtu"'])){1,256}"""
)
_ENCODED = re.compile(r"""(?:[^\s"'`<>&,;\\%]{1,256}|%(?!(?:25)?(?:26|22|27|2[cC]|20|0[aAdD]|3[bB]|7[dD]))){1,4096}""")
_IN_MARKUP = re.compile(r"(?:(?!&lt;|\]\]>)[^<\n]){1,4096}")

_PLACEHOLDER = re.compile(  # what stands where a secret was, or will be
    r"\*+$|x{3,}$|\.{3}$|…|<[^<>]*>?$|&lt;|\$\{|\$[a-z_]+$|\{\{|%\(?[a-z_]+\)?[sd]?$|\[?(?:redacted|masked|filtered|hidden)\b",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"[A-Za-z_][\w.]*\(|(?:self|cls|config|settings|args|os|env|process|request|kwargs|options|this|ctx)\."
)
_PATH = re.compile(
    r"(?:~|\.{1,2}|/(?:etc|run|home|var|usr|opt|root|tmp|mnt|proc|srv|Users|secrets))/[\w./-]+$|/[\w.-]+$"
)
_IDENTIFIER = re.compile(  # a UUID, a plain digest, a date, a number
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$|(?:[a-z0-9]+:)?(?:[0-9a-f]+|[0-9A-F]+)$|\d{4}-\d\d-\d\d|[\d.,:_-]+$|\w+://|/"
)
_HEX = re.compile(r"[0-9a-f]{16,}$")
_DIGIT, _LETTER = re.compile(r"\d"), re.compile(r"[^\W\d_]")
_HARMLESS = words(
    """
    a absent accepted an and any array authentication authorization bad basic bearer bool boolean bytes can cannot
    changed could default denied dict digest disabled empty enabled error exists expected expired failed failure
    false filtered for found from given has have hidden in incorrect int integer invalid is it list masked mismatch
    missing must never nil no none not null number object of off ok on optional optional[str] or password present
    provided refused rejected removed required reset revoked rotated secretstr set should str string that the this
    to token true unchanged undefined unexpected unknown unset updated used using valid was we were will with wrong
    yes you
    """
)


def find(text: str, lower: str) -> Iterator[Span]:
    for anchor in _ANCHORS:
        at = lower.find(anchor)
        while at >= 0:
            stop = _name_end(text, at)
            span = _at(text, lower, at, stop)
            if span is not None:
                yield span
            at = lower.find(anchor, max(span.end if span else 0, stop))


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
    name = in_english(_without_escape(text, start, at, stop))
    means = says(name)
    if means is Says.NOTHING:
        if lower[at:stop] != "key":
            return None
        means = says(lower[max(start - 12, 0) : stop].replace(" ", "_"))  # "api key", "access key"
        if means is not Says.SECRET:
            return None
    return _value(text, start, stop, name, means)


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
    return before.endswith(("<", "&lt;")) or (before.endswith(":") and _NAMESPACE.search(before) is not None)


def _value(text: str, start: int, stop: int, name: str, means: Says) -> Span | None:
    if _begins_element(text, start) and (tag := _IN_TAG.match(text, stop)):
        return _judged(text, _IN_MARKUP.match(text, tag.end()), name, means)
    if separator := _BESIDE_VALUE.match(text, stop) or _ASSIGNED.match(text, stop) or _IN_PAIR.match(text, stop):
        is_encoded = separator.re is _ASSIGNED and separator["encoded"]
        return _assigned(text, separator.end(), name, means, _ENCODED if is_encoded else _UNQUOTED)
    if text[max(start - 24, 0) : start].rstrip("\"'\\").endswith((" name=", " key=")):
        if (form := _IN_FORM.match(text, stop)) is not None:
            return _judged(text, _LINE.match(text, form.end()), name, means)
        if (element := _IN_ELEMENT.match(text, stop)) is not None:
            return _judged(text, _IN_MARKUP.match(text, element.end()), name, means)
    if name.startswith("--") and (separator := _AFTER_FLAG.match(text, stop)):
        opening = _OPENING.match(text, separator.end())
        if opening is not None:
            return _quoted(text, opening, name, means)
        return _unquoted(text, separator.end(), name, means, _UNQUOTED)
    if means is not Says.SECRET or name.lower().endswith(("secrets", "passwords")):  # of many, none is told in prose
        return None
    if (separator := _IN_PROSE.match(text, stop)) is not None:
        return _prose(text, separator, name)
    return None


def _assigned(text: str, at: int, name: str, means: Says, unquoted: re.Pattern[str]) -> Span | None:
    if (opening := _OPENING.match(text, at)) is not None:
        return _quoted(text, opening, name, means)
    begins = text[at : at + 1]
    if begins == "(" and (opening := _IN_PARENTHESES.match(text, at)) is not None:
        return _quoted(text, opening, name, means)
    if begins == "[" and not text.startswith("[redacted", at):
        return _judged(text, _LIST.match(text, at), name, means)
    if begins == "{" and (brace := _OBJECT.match(text, at)) is not None:
        inner = _IN_OBJECT.match(text, brace.end())
        opening = _OPENING.match(text, inner.end()) if inner else None
        return _quoted(text, opening, name, means) if opening else None
    if begins in ("|", ">") and (block := _BLOCK.match(text, at)) is not None:
        return _block(text, block, name, means)
    if begins in ("\r", "\n") and (line := _NEXT_LINE.match(text, at)) is not None:
        return _on_next_line(text, line.end(), name, means)
    phrase = _WORDS.match(text, at) if "pass" in name.lower() else None
    if phrase is not None and _HARMLESS.isdisjoint(re.split("[ -]", phrase[0])):
        return Span(*phrase.span(), label(name))
    return _unquoted(text, at, name, means, unquoted)


def _quoted(text: str, opening: re.Match[str], name: str, means: Says) -> Span | None:
    quote, begin = opening[1], opening.end()
    if quote in {'"', "'"}:
        return _judged(text, (_DOUBLE_QUOTED if quote == '"' else _SINGLE_QUOTED).match(text, begin), name, means)
    limit = begin + MAX_VALUE_CHARACTERS
    ends = [text.find(quote, begin, limit)] + (
        [] if len(quote) == 3 and quote[0] in "\"'" else [text.find("\n", begin, limit)]
    )
    end = min((end for end in ends if end >= 0), default=min(limit, len(text)))
    return Span(begin, end, label(name)) if is_secret(text[begin:end], name, means, quoted=True) else None


def _unquoted(text: str, begin: int, name: str, means: Says, pattern: re.Pattern[str]) -> Span | None:
    match = pattern.match(text, begin, begin + _UNQUOTED_CHARACTERS)
    if match is None or not is_secret(match[0].rstrip(".,:;)]}"), name, means, quoted=False):
        return None
    match = pattern.match(text, begin, begin + MAX_VALUE_CHARACTERS)
    assert match is not None  # it matched with less
    return Span(begin, begin + len(match[0].rstrip(".,:;)]}")), label(name))


def _block(text: str, block: re.Match[str], name: str, means: Says) -> Span | None:
    """Judged by its first line; what is indented too goes with it."""
    first = _judged(text, block, name, means, "value")
    rest = _BLOCK_REST.match(text, first.end) if first else None
    return Span(first.start, rest.end(), first.label) if first and rest else None


def _on_next_line(text: str, begin: int, name: str, means: Says) -> Span | None:
    """Quoted, or alone on it and nothing that is a word or an identifier: a mapping may begin there."""
    if (opening := _OPENING.match(text, begin)) is not None:
        return _quoted(text, opening, name, means)
    alone = _ALONE.match(text, begin)
    if alone is None or alone[0].endswith(":") or not is_mixed(alone[0]) or _IDENTIFIER.match(alone[0]):
        return None
    return _judged(text, alone, name, means)


def _judged(text: str, match: re.Match[str] | None, name: str, means: Says, group: int | str = 0) -> Span | None:
    if match is None or not is_secret(match[group], name, means, quoted=True):
        return None
    return Span(*match.span(group), label(name))


def _prose(text: str, separator: re.Match[str], name: str) -> Span | None:
    """`the password is hunter2`, `invalid token 8f3a...`: only what cannot be a word or an identifier."""
    opening = _OPENING.match(text, separator.end())
    match = _UNQUOTED.match(text, opening.end() if opening else separator.end(), separator.end() + _UNQUOTED_CHARACTERS)
    if match is None:
        return None
    value = match[0].rstrip(".,:;)]}!?")
    is_password = "pass" in name.lower() or "pwd" in name.lower()
    shortest = 6 if separator["copula"] else 8 if is_password else 12
    is_identifier = _IDENTIFIER.match(value) and not (is_password and _HEX.match(value))
    if len(value) < shortest or not is_mixed(value) or is_identifier or _CODE.match(value):
        return None
    return Span(match.start(), match.start() + len(value), label(name)) if "=" not in value[:-2] else None


def is_secret(value: str, name: str, means: Says, *, quoted: bool) -> bool:
    """Whether `value` can be a secret, under a name that means so: not a placeholder, a word, a path or code."""
    if means is Says.MAYBE and len(value) < 16:
        return False
    value = unquote(unquote(value))
    if not value.strip() or value.lower() in _HARMLESS or _PLACEHOLDER.match(value):
        return False
    if value.isdigit() and len(value) <= 6 and not name.lower().endswith(("password", "passwd", "passphrase")):
        return False
    if _PATH.match(value) and not name.lower().endswith("password"):
        return False
    if not quoted and _CODE.match(value):
        return False
    if means is Says.SECRET:
        return True
    if len(value) < 16 or not is_mixed(value):
        return False
    if name.lower().endswith("key"):
        return not _IDENTIFIER.match(value) and " " not in value
    return "-" not in value or not _IDENTIFIER.match(value)


def is_mixed(value: str) -> bool:
    return _DIGIT.search(value) is not None and _LETTER.search(value) is not None


def label(name: str) -> str:
    lower = name.lower()
    for kind in ("password", "passwd", "pwd", "pass"):
        if kind in lower:
            return "password"
    for kind in ("token", "secret", "key", "cookie", "signature", "sig"):
        if kind in lower:
            return "signature" if kind == "sig" else kind
    return "credential"
