"""Reads the value that stands behind a name, in whatever form it is written, and says where it is if it is secret."""

import re

from kernel_gateway.audit.judge import (
    HARMLESS,
    is_code,
    is_identifier,
    is_mixed,
    is_reference,
    is_secret,
    is_spoken_code,
    label,
)
from kernel_gateway.audit.names import Says, words
from kernel_gateway.audit.shapes import is_opaque
from kernel_gateway.audit.spans import BREAK, MAX_VALUE_CHARACTERS, QUOTE, SPACE, Span

_UNQUOTED_CHARACTERS = 64  # how far an unquoted value is read before it is judged

LINE = re.compile(r"[^\r\n\\]{1,4096}")
_QUOTED = rf"(?:[bruf]{{1,2}}(?=[\"']))?(\"\"\"|'''|{QUOTE})"
OPENING = re.compile(_QUOTED, re.IGNORECASE)
_IN_PARENTHESES = re.compile(rf"\(\s{{0,64}}{_QUOTED}", re.IGNORECASE)
_DOUBLE_QUOTED = re.compile(rf'(?:[^"\\\n]|\\[^\n]){{0,{MAX_VALUE_CHARACTERS}}}')
_SINGLE_QUOTED = re.compile(rf"(?:[^'\\\n]|\\[^\n]){{0,{MAX_VALUE_CHARACTERS}}}")
_LIST = re.compile(rf"\[(?:[^\[\]\n]|\n(?=\s{{0,64}}[\"'\]])){{1,{MAX_VALUE_CHARACTERS}}}")
_ELEMENT = re.compile(rf"{QUOTE}((?:(?!{QUOTE})[^\n]){{1,512}})")
_ITEMS = re.compile(
    r"[ \t]{0,8}(?:\r?\n[ \t]{0,64}(?:[-*\u2022]"
    r"|\d{1,2}[.)])[ \t]{1,4}[\"']?(?P<first>[^\s\"':]{4,512})[\"']?)(?:\r?\n[ \t]{0,64}(?:[-*\u2022]"
    r"|\d{1,2}[.)])[ \t]{1,4}[^\s:]{4,512}){0,64}(?=[ \t]{0,8}\r?(?:\n|$))"
)
_CODE = r"(?=[A-Za-z-]{0,24}\d)[A-Za-z0-9]{4,12}(?:-[A-Za-z0-9]{4,12}){0,4}(?![\w:=-])"
_ITEM = r"(?:[-*][ ]|\d{1,2}[.)][ ])?"
_CODES = re.compile(rf"\s{{0,16}}{_ITEM}({_CODE}(?:[\s,;]{{1,8}}{_ITEM}{_CODE}){{0,32}})")
_HEREDOC = re.compile(rf"<<[-~]?[\"']?\w{{1,32}}[\"']?{BREAK}[ \t]{{0,64}}(?P<value>[^\n\\]{{1,4096}})")
_OBJECT = re.compile(rf"\{{(?=\s{{0,32}}(?:{QUOTE}|\\n|\}}))")
_IN_OBJECT = re.compile(  # {"token": {"type": "plain", "value": "..."}}
    rf"[^{{}}]{{0,256}}?{QUOTE}(?i:s|b|[a-z]{{1,10}}value|value|val|data|raw|text|plain|plaintext|content|string|stringData){QUOTE}{SPACE}:{SPACE}(?={QUOTE})"
)
_NEXT_LINE = re.compile(r"[ \t]{0,8}\r?\n[ \t]{1,64}")
_BLOCK = re.compile(rf"[|>][+-]?\d?[ \t]{{0,8}}{BREAK}([ \t]{{1,64}})(?P<value>[^\n\\]{{1,4096}})")  # of YAML
_BLOCK_REST = re.compile(r"(?:\n[ \t][^\n]{0,4096}){0,200}")
_ALONE = re.compile(r"[^\s\"'`<>{}\[\]]{8,4096}(?=[ \t]{0,8}\r?(?:\n|$))")
_WORDS = re.compile(r"[a-z]{3,12}(?:[ -][a-z]{3,12}){3,23}(?=[ \t]{0,8}(?:\r?\n|$|[\"'`]))")
# A comma, semicolon or ampersand ends it only where something new begins, for a password may hold one.
UNQUOTED = re.compile(
    r"""(?:[^\s"'`<>,;&\\]{1,256}|,(?![\s"'{\[]|[\w.-]{1,40}["']?[=:]|$)|;(?!\s|[\w. -]{1,40}=|$)"""
    r"""|&(?!amp;|quot;|lt;|gt;|\#|[\w.%\[\]-]{1,60}=|[\s&]|$)|\\(?![nrtu"'])){1,256}"""
)
ENCODED = re.compile(r"""(?:[^\s"'`<>&,;\\%]{1,256}|%(?!(?:25)?(?:26|22|27|2[cC]|20|0[aAdD]|3[bB]|7[dD]))){1,4096}""")
IN_MARKUP = re.compile(r"(?:(?!&lt;|\]\]>)[^<\n]){1,4096}")
_HEX = re.compile(r"[0-9a-f]{16,}$")
_LETTERS = re.compile(r"[A-Za-z]{5,32}(?:-[a-z]{3,16}){0,6}$")
_INNER_CAPITAL = re.compile(r"[a-z]{3}[A-Z][a-z]{2}")
_SAYS_WHAT = re.compile(r"(?i:.*\b(?:is|was|(?:set|changed|updated|rotated)[ ]to)[ ]?:?\s*)$")
_ENDS = re.compile(r"[.,;!]?[ \t]{0,4}(?:\r?\n|\\n|[\"')]|$)")
# what a sentence says about a password, and where it is not one
_DESCRIBES = re.compile(
    r"(?:[^e]ed|ted|red|ked|ned|med|led|sed|ved|ged|ced|ing|able|ible|less|ful|ous|ive|ent|ant|ial|al|ly|ic|ect|est|ary|ory|ong|ise|ue)$"
)
_DESCRIPTIONS = words(
    """
    admin anyone blank bcrypt broken clear client clients common compromise complex configuration console correct
    crypt database
    default different easy either email environment every everyone exist fetch files fine global good guess here
    itself keychain ldap
    login logs longer match memory needed nobody nothing okay others output permit placeholder plain plaintext prompt
    public ready rotate safe same screen secrets secure server short simple sixteen skip someone something stale
    stdin stdout strength system team tests there trivial twelve unchanged under unlock unsafe users valid
    vault visible weaker works yours zeros
    """
)
_PHRASES = ("phrase", "mnemonic", "words", "seed")


def assigned(text: str, at: int, name: str, means: Says, pattern: re.Pattern[str]) -> Span | None:
    if (opening := OPENING.match(text, at)) is not None:
        return quoted(text, opening, name, means)
    begins = text[at : at + 1]
    if begins == "(" and (opening := _IN_PARENTHESES.match(text, at)) is not None:
        return quoted(text, opening, name, means)
    if begins == "[" and not text.startswith("[redacted", at):
        return _list(text, at, name, means)
    if text.startswith("{ ", at) and not text.startswith(('{ "', "{ '"), at):
        return None  # a type, or code
    if begins == "{" and (brace := _OBJECT.match(text, at)) is not None:
        inner = _IN_OBJECT.match(text, brace.end())
        opening = OPENING.match(text, inner.end()) if inner else None
        return quoted(text, opening, name, means) if opening else None
    if begins in ("|", ">") and (block := _BLOCK.match(text, at)) is not None:
        return _block(text, block, name, means)
    if name.lower().endswith("codes") and (codes := _CODES.match(text, at)) is not None:
        return Span(*codes.span(1), "code")
    if begins in ("\r", "\n"):
        return _on_next_line(text, at, name, means)
    if begins == "<" and (heredoc := _HEREDOC.match(text, at)) is not None:
        return judged(text, heredoc, name, means, "value")
    phrase = _WORDS.match(text, at) if name.lower().endswith(_PHRASES) or "pass" in name.lower() else None
    if phrase is not None and HARMLESS.isdisjoint(re.split("[ -]", phrase[0])):
        return Span(*phrase.span(), label(name))
    return unquoted(text, at, name, means, pattern)


def quoted(text: str, opening: re.Match[str], name: str, means: Says) -> Span | None:
    quote, begin = opening[1], opening.end()
    if quote in {'"', "'"}:
        return judged(text, (_DOUBLE_QUOTED if quote == '"' else _SINGLE_QUOTED).match(text, begin), name, means)
    limit = begin + MAX_VALUE_CHARACTERS
    ends = [text.find(quote, begin, limit)] + (
        [] if len(quote) == 3 and quote[0] in "\"'" else [text.find("\n", begin, limit)]
    )
    end = min((end for end in ends if end >= 0), default=min(limit, len(text)))
    return Span(begin, end, label(name)) if is_secret(text[begin:end], name, means, quoted=True) else None


def unquoted(text: str, begin: int, name: str, means: Says, pattern: re.Pattern[str] = UNQUOTED) -> Span | None:
    match = pattern.match(text, begin, begin + _UNQUOTED_CHARACTERS)
    if match is None or not is_secret(_value(text, match), name, means, quoted=False):
        return None
    match = pattern.match(text, begin, begin + MAX_VALUE_CHARACTERS)
    assert match is not None  # it matched with less
    return Span(begin, begin + len(match[0].rstrip(".,:;)]}")), label(name))


def _value(text: str, match: re.Match[str]) -> str:
    """With what closes it, where it is a reference, such as ${NAME}; and the words of a mask, such as (not set)."""
    if match[0].startswith(("$", "{", "%", "#{", "<", "(", "!", "[")):
        return match[0] + text[match.end() : match.end() + 16].split("\n")[0]
    return match[0].rstrip(".,:;)]}")


def _list(text: str, at: int, name: str, means: Says) -> Span | None:
    """Judged by its first element."""
    if (elements := _LIST.match(text, at)) is None or (first := _ELEMENT.search(elements[0])) is None:
        return judged(text, elements, name, means)
    return Span(*elements.span(), label(name)) if is_secret(first[1], name, means, quoted=True) else None


def _block(text: str, block: re.Match[str], name: str, means: Says) -> Span | None:
    """Judged by its first line; what is indented too goes with it."""
    first = judged(text, block, name, means, "value")
    rest = _BLOCK_REST.match(text, first.end) if first else None
    return Span(first.start, rest.end(), first.label) if first and rest else None


def _on_next_line(text: str, at: int, name: str, means: Says) -> Span | None:
    """Quoted, or alone on it and nothing that is a word or an identifier: a mapping may begin there; or items."""
    if (items := _ITEMS.match(text, at)) is not None:
        mixed = is_mixed(items["first"]) and is_secret(items["first"], name, means, quoted=False)
        return Span(items.start("first"), items.end(), label(name)) if mixed else None
    if (line := _NEXT_LINE.match(text, at)) is None:
        return None
    if (opening := OPENING.match(text, line.end())) is not None:
        return quoted(text, opening, name, means)
    alone = _ALONE.match(text, line.end())
    if alone is None or alone[0].endswith(":") or not is_mixed(alone[0]) or is_identifier(alone[0]):
        return None
    return judged(text, alone, name, means)


def judged(text: str, match: re.Match[str] | None, name: str, means: Says, group: int | str = 0) -> Span | None:
    if match is None or not is_secret(match[group], name, means, quoted=True):
        return None
    return Span(*match.span(group), label(name))


def _is_chosen(text: str, match: re.Match[str], value: str, *, copula: str, is_quoted: bool) -> bool:
    """Whether words can be a password: `is velvetHarbour`, `"velvet-harbour-copper"`, `set to velvet` where it ends."""
    if not _LETTERS.match(value) or value.lower() in HARMLESS or is_reference(value) or is_code(value):
        return False
    said = _SAYS_WHAT.match(copula) is not None
    if (said or is_quoted) and (_INNER_CAPITAL.search(value) or value.count("-") > 1):
        return True
    if not said or value.count("-") == 1 or _DESCRIBES.search(value) or value in _DESCRIPTIONS:
        return False
    return _ENDS.match(text, match.start() + len(value)) is not None


def prose(text: str, separator: re.Match[str], name: str, means: Says) -> Span | None:
    """`the password is hunter2`, `invalid token 8f3a...`: only what cannot be a word or an identifier."""
    opening = OPENING.match(text, separator.end())
    begin = opening.end() if opening else separator.end()
    match = UNQUOTED.match(text, begin, begin + MAX_VALUE_CHARACTERS)
    if match is None:
        return None
    value, lower = match[0].rstrip(".,:;)]}!?"), name.lower()
    span = Span(begin, begin + len(value), label(name))
    if lower.endswith(("code", "pin", "otp")) and separator["copula"] and is_spoken_code(value):
        return span
    if opening and separator["copula"] and text.startswith(opening[1], match.end()):
        return span if len(value) >= 6 and is_secret(value, name, means, quoted=True) else None
    if means is not Says.SECRET:
        return span if separator["copula"] and is_opaque(value) else None
    is_password = "pass" in lower or "pwd" in lower
    if is_password and _is_chosen(text, match, value, copula=separator["copula"] or "", is_quoted=opening is not None):
        return span
    if is_password and separator["copula"] and value.isdigit() and is_spoken_code(value):
        return span
    shortest = 6 if separator["copula"] else 8 if is_password else 12
    named = is_password or separator["copula"] is not None
    plain = is_identifier(value) and not (named and _HEX.match(value))
    if len(value) < shortest or not is_mixed(value) or plain or is_code(value) or is_reference(value):
        return None
    return span if "=" not in value[:-2] else None
