"""Secrets under a name, or in a place, that says so in one protocol or language only."""

import re
from collections.abc import Iterator

from kernel_gateway.audit.names import Says, says
from kernel_gateway.audit.spans import QUOTE, SPACE, Rule, Rules, Span

_IS = rf"{QUOTE}?{SPACE}(?:=>|[:=]){SPACE}{QUOTE}?"
_COOKIES = ("jsessionid", "phpsessid", "aspsessionid", "asp.net_sessionid", "connect.sid", "laravel_session")
_RULES = Rules(
    [
        # OAuth: the code of a redirect, and what proves who asked for it
        Rule("code=", re.compile(r"(?<=[?&#;])code=(?=[\w.~%/+-]{0,60}\d)([\w.~%/+-]{12,2048})", re.I | re.A), "code"),
        *(
            Rule(name, re.compile(rf"{name}{_IS}([\w.~-]{{16,256}})", re.I | re.A), "code")
            for name in ("code_verifier", "codeverifier")
        ),
        *(
            Rule(name, re.compile(rf"{name}{_IS}([\w+/=%-]{{16,}})", re.I | re.A), "assertion")
            for name in ("samlresponse", "samlart", "client_assertion")
        ),
        *(
            Rule(name, re.compile(rf"{re.escape(name)}\w{{0,16}}{_IS}([\w.~%+/:!-]{{8,4096}})", re.I | re.A), "cookie")
            for name in _COOKIES
        ),
        Rule(  # of requests and httpx, in tracebacks: the second of a pair
            "auth=(",
            re.compile(rf"auth=\([bru]?{QUOTE}[^'\"\\\n]{{0,128}}{QUOTE},[ ]?[bru]?{QUOTE}([^'\"\\\n]{{1,256}})"),
            "password",
        ),
        Rule(
            "identified ",
            re.compile(
                rf"identified[ ](?:with[ ]\S{{1,64}}[ ])?(?:by|as)(?:[ ]password)?[ ]{{1,4}}{QUOTE}"
                r"([^'\"\\`\n]{1,256})",
                re.I,
            ),
            "password",
        ),
        *(
            Rule(
                f"{verb} {kind}",
                re.compile(rf"{verb}[ ]{kind}[ ]{{1,4}}([A-Za-z0-9+/]{{8,4096}}=?=?)", re.I),
                "password",
            )
            for verb in ("auth", "authenticate")
            for kind in ("plain", "login", "xoauth2", "oauthbearer", "cram-md5")
        ),
        # of a webhook's body, with its moment: t=1795250000,v1=...
        Rule(
            "signature",
            re.compile(
                r"signature[\w-]{0,16}[\"']?[ ]?[:=][ ]?[\"']?"
                r"((?:\w{1,16}=)?[\w.:-]{1,64}(?:[,;][ ]?\w{1,16}=[\"']?[\w+/=:-]{8,1024}[\"']?)+)",
                re.I | re.A,
            ),
            "signature",
        ),
        Rule(
            "set password ",
            re.compile(r"set password for \S{1,80}\s?(?:=|to)\s?[\"']([^\"'\n]{1,256})", re.I),
            "password",
        ),
        # of SQL, whatever the word before: ROLE r LOGIN PASSWORD '...', OPTIONS (password '...'), KEY '...'
        Rule(
            "password",
            re.compile(
                r"(?<![\w-])password[ ]{1,4}\(?N?\\{0,3}'([^'\n\\]{4,256})\\{0,3}'(?=[ ;,)\"\\]|$)", re.I | re.M
            ),
            "password",
        ),
        Rule("database ", re.compile(r"database [^\n]{1,200}? key '([^'\n]{4,256})'", re.I), "key"),
        Rule("pragma ", re.compile(r"pragma (?:\w+\.)?(?:hex)?(?:re)?key ?= ?[\"']([^\"'\n]{4,256})", re.I), "key"),
        Rule(
            "identified by ",
            re.compile(r"identified by (?![\"'$:<&])((?=\S{0,64}[\dA-Z])[^\s\"';,]{6,128})", re.I),
            "password",
        ),
        *(
            Rule(
                word,
                re.compile(rf"{word}[\w.-]{{1,64}} (?:on|reset) [^\n]{{0,40}}?>([^\s>~+@]{{6,256}})", re.I),
                "password",
            )
            for word in ("setuser ", "user ")
        ),
        Rule(  # of mail and file transfer
            "pass ",
            re.compile(
                r"(?<![\w.-])(?<![\w.-] )PASS (?!Test|test|\[)((?=\S{0,64}(?:\d|[a-z][A-Z]|:))[^\s/.()\"']{6,128})"
                r"(?=\s*(?:\\[rn]|$|[\r\n\"']))"
            ),
            "password",
        ),
        Rule("wifi:", re.compile(r"WIFI:(?:[^\n\"'<>]{0,200}?;)?P:([^;\s]{4,128})", re.I), "password"),
        *(  # a parameter of one letter says nothing: only what nobody can have written
            Rule(
                name,
                re.compile(
                    rf"{re.escape(name)}(?![0-9a-fA-F]+\b)((?=[\w-]{{0,64}}[A-Z])(?=[\w-]{{0,64}}\d)[\w-]{{24,512}})",
                    re.A,
                ),
                "token",
            )
            for name in ("?k=", "&k=", "?t=", "&t=", "?h=", "&h=")
        ),
        Rule("with password", re.compile(r"with password[ ]{1,4}=?[ ]{0,4}\\?'([^'\n\\]{1,256})", re.I), "password"),
        Rule(
            "auth default ", re.compile(r"auth default ((?=\D{0,100}\d)[^\s\"'\\]{6,256})", re.I), "password"
        ),  # Redis
        # a browser cannot send a header with a WebSocket: the token goes as one of the subprotocols
        Rule(
            "sec-websocket-protocol",
            re.compile(
                rf"sec-websocket-protocol{_IS}[^\r\n\"']{{0,128}}?(?:bearer|token|auth)[a-z0-9.]{{0,40}}?[.,][ ]?"
                r"((?=[\w~=-]{0,100}\d)[\w~=-]{16,4096})",
                re.I | re.A,
            ),
            "token",
        ),
        *(
            Rule(name, re.compile(rf"{re.escape(name)}([\w.~=-]{{8,4096}})", re.I | re.A), "token")
            for name in ("token.websocket.jupyter.org.", "bearer.authorization.k8s.io.")
        ),
    ]
)
_OBJECT_CHARACTERS = 8192
# Of a JSON Web Key (RFC 7517) what is not public; of a Jupyter connection file what signs each message to a kernel.
_PRIVATE_MEMBER = re.compile(rf"{QUOTE}(?:d|p|q|dp|dq|qi|k){QUOTE}{SPACE}:{SPACE}{QUOTE}([\w-]{{8,4096}})", re.ASCII)
_CONNECTION_KEY = re.compile(rf"{QUOTE}key{QUOTE}{SPACE}:{SPACE}b?{QUOTE}([\w-]{{8,256}})", re.ASCII)
_REFUSED = "input_value="  # of pydantic: the line before names the field
_REFUSED_VALUE = re.compile(r"input_value=\\?(?:'([^'\\\n]{1,4096})|\"([^\"\\\n]{1,4096}))")
_FIELD_CHARACTERS = 512
_LINE_END = re.compile(r"\r?\n|\\n")


def find(text: str, lower: str) -> Iterator[Span]:
    yield from _RULES.find(text, lower)
    yield from _members(text, lower, "kty", _PRIVATE_MEMBER, "private-key")
    yield from _members(text, lower, "signature_scheme", _CONNECTION_KEY, "key")
    yield from _refused_values(text, lower)


def _members(text: str, lower: str, sign: str, member: re.Pattern[str], label: str) -> Iterator[Span]:
    """The private members of each object that `sign` tells by its name; they may come before it."""
    done = 0
    at = lower.find(sign)
    while at >= 0:
        begin = max(text.rfind("{", done, at), at - _OBJECT_CHARACTERS, done)
        end = text.find("}", at, at + _OBJECT_CHARACTERS)
        done = end if end >= 0 else min(at + _OBJECT_CHARACTERS, len(text))
        for found in member.finditer(text, begin, done):
            yield Span(*found.span(1), label)
        at = lower.find(sign, done)


def _refused_values(text: str, lower: str) -> Iterator[Span]:
    at = lower.find(_REFUSED)
    before = 0
    while at >= 0:
        lines = _LINE_END.split(text[max(at - _FIELD_CHARACTERS, before) : at])
        value = _REFUSED_VALUE.match(text, at)
        if value is not None and len(lines) > 1 and says(lines[-2].strip()) is Says.SECRET:
            yield Span(*value.span(value.lastindex or 0), "secret")
        before = at
        at = lower.find(_REFUSED, at + len(_REFUSED))
