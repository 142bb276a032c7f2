"""Secrets that a protocol puts in a fixed place: authorization and cookie headers, URLs with a password, key armour."""

import base64
import binascii
import re
from collections.abc import Iterator

from kernel_gateway.audit.judge import is_reference
from kernel_gateway.audit.spans import BREAK, QUOTE, SPACE, Rule, Rules, Span

_TO = rf"{QUOTE}?\]?{SPACE}(?:=>|[:=,]|%3[aAdD]){SPACE}[\[(]?{SPACE}(?:[bru](?=[\"']))?"
_KNOWN_SCHEME = (
    "basic|bearer|token|api-?key|key|session|jwt|pat|dpop|splunk|aws|negotiate|ntlm|discogs|geniekey|client-id|bot"
)
_MANY_PARAMETERS = (
    "digest|aws4-[a-z0-9-]+|goog4-[a-z0-9-]+|oauth|hawk|signature|sharedkey[a-z]*|(?:hmac|scram)[a-z0-9-]*"
)
_WORD = "(?:tokens?|required|missing|authentication|authorization|invalid|expired|headers?|is|was|not|auth)"
_BARE = r"""[^\s"'`\\,;<>&]"""
_AUTHORIZATION = re.compile(
    rf"""authorization{_TO}(?:
        "   ((?:[^"\\\n]|\\.){{4,8192}})
      | '   ((?:[^'\\\n]|\\.){{4,8192}})
      | {QUOTE} ((?:(?!{QUOTE})[^\n]){{4,8192}})
      | ((?:{_MANY_PARAMETERS})(?:[ ]|%20|\+)(?:(?!\\{{1,4}}[rn])[^\r\n]){{4,8192}})
      | ((?:{_KNOWN_SCHEME})(?:[ ]|%20|\+){{1,4}}(?!{_WORD}\b){_BARE}{{4,8192}})
      | ([a-z][\w-]{{1,30}}[ ]{{1,4}}(?={_BARE}{{0,100}}\d){_BARE}{{8,8192}})
      | ((?!\[)(?={_BARE}{{0,100}}\d){_BARE}{{8,8192}})
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_BEARER = re.compile(
    rf"bearer(?:[ :=+]|%20|{QUOTE}){{1,6}}(?=[\w.~/+%-]{{0,100}}\d|[\w.~/+%-]{{32}})([\w.~/+=%-]{{8,8192}})",
    re.IGNORECASE,
)
_BASIC = Rules(
    [
        Rule(
            "basic",
            re.compile(r"basic(?:[ :]|%20|\+){1,4}([A-Za-z0-9+/_-]{6,4096}(?:=|%3[dD]){0,2})", re.IGNORECASE),
            "basic",
        )
    ]
)
_MORE = r"(?:;[ \t]{0,4}[^\s=;\"'`<>]{1,128}(?:=[^;\"'`<>\s]{0,4096})?){0,200}"
_COOKIE = re.compile(
    rf"""cookies?2?{_TO}(?:\{{([^}}\n]{{1,4096}})|(?:{QUOTE})?([^\s=;,"'`<>()&%]{{1,128}}=[^\s;"'`<>]{{0,4096}}{_MORE}))""",
    re.IGNORECASE,
)
# A password before the @ of a URL. What follows the colon is not a port; it may hold an unescaped slash or @.
_BEFORE_AT = r"""(?:(?!://)[^\s"'<>`]){1,256}"""
_USER = r"""[^\s:/@"'<>\[\]]{0,128}"""
_IN_URL = re.compile(
    r""":\\?/\\?/(?:((?=[\w.~%-]{0,64}\d)[\w.~%-]{20,256})(?::(?:x-oauth-basic)?)?|"""
    rf"""{_USER}:(?!\d{{1,5}}(?:[/?\#\s"',]|$))({_BEFORE_AT}))@(?=[\w\[%-])"""
)
_IN_ENCODED_URL = re.compile(
    r"%3a(?:%2f){2}(?:(?!%(?:2f|3a|40))[\w.%+-]){0,128}%3a(?!\d{1,5}(?:%2f|%3f|\W|$))((?:(?!%40|%3a%2f)[^\s\"'<>&]){1,256})%40",
    re.IGNORECASE,
)
_RULES = Rules(
    [
        Rule("authorization", _AUTHORIZATION, "authorization"),
        Rule("bearer", _BEARER, "bearer"),
        Rule("cookie", _COOKIE, "cookie"),
        Rule("<cookie ", re.compile(r"<Cookie [^\s=]{1,128}=(\S{1,4096})"), "cookie"),  # repr of a cookie jar
        Rule("://", _IN_URL, "password"),
        Rule(r":\/\/", _IN_URL, "password"),
        Rule("%3a%2f%2f", _IN_ENCODED_URL, "password"),
        Rule("thin:", re.compile(r"thin:[^\s/@]{1,64}/([^\s@]{1,128})@", re.IGNORECASE), "password"),  # Oracle
        Rule(
            "private-lines:",
            re.compile(
                rf"private-lines: \d+(?:{BREAK}|\s)[ ]?"
                rf"((?:[\w+/=]{{1,128}}(?:{BREAK}|\s){{1,4}}[ ]?){{1,200}}(?:private-mac: \w{{1,128}})?)",
                re.I | re.A,
            ),
            "private-key",
        ),
    ]
)
_LINES_BEFORE = re.compile(  # read backwards: a line's end, its key material, what a log puts before a line
    r"(?:[ ]Z[\d.:T-]{18,32}|[ ]?[+>-])?"
    r"(?:(?:\"\\{0,15}[ ]?,\"\\{0,15})?(?:\n\r?|n\\{1,15}(?:r\\{1,15})?)[\w+/=]{4,128}?(?=[nr]\\|[^\w+/=]|$)"
    r"(?:[ ]Z[\d.:T-]{18,32}|[ ]?[+>-])?){1,200}"
)
_FOOT_CHARACTERS = 8192
_ARMOUR_CHARACTERS = 65_536
_PRIVATE_KEY = re.compile(r"(?:private|static)(?: |%20|\+)key(?:(?: |%20|\+)(?:block|v\d))?\s?-{4,5}")
_DASHES = re.compile("-{0,5}")
_KEY_LINES = re.compile(
    r"(?:\d{4}-\d\d-\d\dT[\d:.]{8,20}Z |[\s\"',>+]|\\+[nr]|\\u000[aAdD]|%0[aAdD]|-{4,5}"
    r"|(?:Proc-Type|DEK-Info|Comment|Version): [^\n\\]{0,200}"
    r"|[\w+/=%]{16,200})*(?:[\w+/=]{1,200})?"
)


def find(text: str, lower: str) -> Iterator[Span]:
    for span in _RULES.find(text, lower):
        if not is_reference(text[span.start : span.end].split(" ")[-1]):
            yield span
    yield from _basic(text, lower)
    yield from _armour(text, lower)
    yield from _go_dsn(text, lower)


def _basic(text: str, lower: str) -> Iterator[Span]:
    """`Basic <base64>`, where it decodes to `name:password`."""
    for span in _BASIC.find(text, lower):
        value = text[span.start : span.end].replace("%3D", "").replace("%3d", "").rstrip("=")
        try:
            plain = base64.b64decode(
                value + "=" * (-len(value) % 4), altchars=b"-_" if set("-_") & set(value) else None
            )
        except binascii.Error:
            continue
        if b":" in plain:
            yield span


def _armour(text: str, lower: str) -> Iterator[Span]:
    """-----BEGIN ... PRIVATE KEY----- to its END; where the END is missing, as far as it looks like a key."""
    for word in ("private", "static key"):
        at = lower.find(word)
        while at >= 0:
            end = at + 1
            begin = max(text.rfind(dashes + "BEGIN", max(at - 40, 0), at) for dashes in ("-----", "---- "))
            if begin >= 0 and (head := _PRIVATE_KEY.match(lower, at)):
                end = _armour_end(text, head.end())
                yield Span(begin, end, "private-key")
            elif head := _PRIVATE_KEY.match(lower, at):  # the end of a key whose beginning was cut off
                foot = max(text.rfind("-----END", max(at - 40, 0), at), 0)
                if foot and (lines := _LINES_BEFORE.match(text[max(foot - _FOOT_CHARACTERS, 0) : foot][::-1])):
                    yield Span(foot - lines.end(), foot, "private-key")
            at = lower.find(word, end)


def _armour_end(text: str, at: int) -> int:
    limit = min(at + _ARMOUR_CHARACTERS, len(text))
    following = text.find("BEGIN", at, limit)  # what belongs to the next key does not close this one
    limit = following if following >= 0 else limit
    foot = max(text.find("-END", at, limit), text.find("- END", at, limit))
    if foot >= 0:
        close = text.find("----", foot + 4, foot + 80)
        dashes = _DASHES.match(text, close) if close >= 0 else None
        return dashes.end() if dashes else min(foot + 5, len(text))
    lines = _KEY_LINES.match(text, at, limit)
    return lines.end() if lines else at


def _go_dsn(text: str, lower: str) -> Iterator[Span]:
    """user:password@tcp(host)/database"""
    for network in ("@tcp(", "@unix(", "@cloudsql("):
        at = lower.find(network)
        while at >= 0:
            before = text[max(at - 256, 0) : at]
            login = before[max(map(before.rfind, " \t\r\n\"'=`")) + 1 :]
            if ":" in login:
                yield Span(at - len(login) + login.index(":") + 1, at, "password")
            at = lower.find(network, at + 1)
