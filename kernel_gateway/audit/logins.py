"""Secrets beside the name of who they are for, and codes that are sent to somebody: `creds: bob / ...`."""

import re
from collections.abc import Iterator

from kernel_gateway.audit.judge import is_reference
from kernel_gateway.audit.spans import QUOTE, Rule, Rules, Span

# nothing that is a word: a digit among letters, a capital inside, or words with dashes
_CHOSEN = (
    r"(?!\[redacted|\w+://)((?=[^\s\"'`]{0,40}(?:\d|[a-z][A-Z]|[!#$%^&*]|[a-z]-[a-z]{3,12}-[a-z]))"
    r"(?=[^\s\"'`]{0,40}[a-z])[^\s\"'`,;<>()]{6,128})"
)
_USER = r"[\"'`]?[\w.@+-]{1,64}[\"'`]?"
_OF_USER = re.compile(
    rf"(?:creds|credentials|login|log[ ]?in|user(?:name)?/pass(?:word)?)(?:[ ][a-z]{{1,12}}){{0,2}}"
    rf"(?:[ ]?(?::|=|are|is|with|using))?[ ]{_USER}(?:[ ]?/[ ]?|:|[ ](?:and|with)[ ]|[ ]\|[ ]){QUOTE}?{_CHOSEN}",
    re.IGNORECASE,
)
_CODE = r"((?:[A-Z]-)?\d{4,8}|\d{3}[ -]\d{3})(?!\w)"
_MEANT = r"(?:verification|security|login|sign-?in|access|confirmation|authentication|one-?time|otp|2fa|passcode|pass)"
_RULES = Rules(
    [
        *(
            Rule(word, _OF_USER, "password")
            for word in ("creds", "credentials", "login", "log in", "user/", "username/")
        ),
        Rule(
            "your ",
            re.compile(
                rf"your (?!(?:area|coupon|country|discount|error|exit|order"
                rf"|post\w*|product|promo|status|tracking|zip)\b)"
                rf"(?:\w{{1,16}} ){{0,3}}(?:code|pin|otp)(?: is)?:? ?{_CODE}",
                re.I,
            ),
            "code",
        ),
        Rule(
            " is your ",
            re.compile(rf"(?<=\d) is your (?:\w{{1,16}} ){{0,2}}{_MEANT}", re.I),
            "code",
        ),
        # what the server of a chat or of mail is told
        Rule("identify ", re.compile(r"IDENTIFY (?:[\w-]{1,32} )?(?!\[redacted)([^\s\"']{6,128})"), "password"),
        Rule(
            "login ",
            re.compile(r"LOGIN \"[^\"\s]{1,64}\" \"([^\"\n]{4,128})\""),
            "password",
        ),
    ]
)
_SPOKEN_BEFORE = re.compile(rf"{_CODE}$")


def find(text: str, lower: str) -> Iterator[Span]:
    for span in _RULES.find(text, lower):
        if text.startswith(" is your ", span.start):
            before = _SPOKEN_BEFORE.search(text, max(span.start - 10, 0), span.start)
            if before is not None:
                yield Span(*before.span(1), "code")
        elif not is_reference(text[span.start : span.end]):
            yield span
