"""Secrets that are known by their own form: what their issuer puts in front of them, and forms that have no prefix.

The prefixes are public knowledge (the issuers print them so that scanners can find them).
"""

import re
from collections.abc import Iterator

from kernel_gateway.audit.spans import EDGE, Rule, Rules, Span
from kernel_gateway.audit.vendors import VENDORS

_SHORT_CHARACTERS = 5  # a prefix of so few occurs inside words
# An access key of AWS, and the secret that is printed beside it.
_AWS = r"[A-Z0-9]{16}(?![A-Za-z0-9])(?:[\"',:;|\s]{1,8}[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=]))?"


def _rule(label: str, prefix: str, rest: str) -> Rule:
    # the anchor is lower case; the prefix matches in either, for every issuer's case differs and none has two
    edge = EDGE if len(prefix) <= _SHORT_CHARACTERS and prefix[0].isalnum() else ""
    return Rule(prefix, re.compile(f"{edge}(?i:{re.escape(prefix)}){rest}", re.ASCII), label)


_RULES = Rules(
    [
        *(_rule(*row) for row in VENDORS),
        _rule("anthropic", "sk-ant-", r"[\w-]{20,}"),
        _rule("openai", "sk-", r"(?=[\w-]{0,60}\d)[\w-]{16,}"),
        _rule("huggingface", "hf_", "[A-Za-z0-9]{20,}"),
        _rule("slack", "hooks.slack.com/", r"(?:services|workflows|triggers)/([\w/-]{20,})"),
        _rule("paseto", ".local.", r"(?<=v[1-4].local.)[\w-]{20,}"),
        _rule("paseto", ".public.", r"(?<=v[1-4].public.)[\w-]{20,}"),
        *(Rule(f"{kind}ia", re.compile(f"{EDGE}{kind.upper()}IA{_AWS}"), "aws") for kind in ("ak", "as", "ab")),
        # a JWT or JWE: base64 of `{"`, and more after a dot; without a dot it is base64 of some JSON, and may stay
        Rule(
            "eyj", re.compile(r"(?:(?=eyJ[\w-]{8,}\.[\w-]{8})(eyJ[\w-]+(?:\.[\w-]*){1,4})|eyJ[\w-]*)", re.ASCII), "jwt"
        ),
        Rule(":aa", re.compile(r"(?<=\d{8}):AA[\w-]{30,40}", re.ASCII), "telegram"),
        Rule("q~", re.compile(r"[\w.~-]{3}\dQ~[\w.~-]{31,34}", re.ASCII), "azure", before=4),
        Rule("-us", re.compile(r"[0-9a-f]{32}-us\d{1,2}(?!\w)", re.ASCII), "mailchimp", before=32),
        Rule("_mmk", re.compile(r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk", re.ASCII), "maxmind", before=36),
        Rule(
            "msh", re.compile(r"[A-Za-z0-9]{10}msh[A-Za-z0-9]{23}jsn[A-Za-z0-9]{12}", re.ASCII), "rapidapi", before=10
        ),
        Rule(".atlasv1.", re.compile(r"[A-Za-z0-9]{0,14}\.atlasv1\.[\w-]{40,}", re.ASCII), "terraform", before=14),
        Rule("azdo", re.compile(r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}(?![A-Za-z0-9])", re.ASCII), "azure", before=76),
        Rule("endr+", re.compile(r"endr\+[A-Za-z0-9-]{16,}", re.ASCII), "endor"),
    ]
)
_DISCORD = re.compile(r"[MNO](?<![\w.-].)[A-Za-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,40}(?![\w.-])", re.ASCII)


def find(text: str, lower: str) -> Iterator[Span]:
    yield from _RULES.find(text, lower)
    for match in _DISCORD.finditer(text) if text.count(".") > 1 else ():
        yield Span(*match.span(), "discord")
