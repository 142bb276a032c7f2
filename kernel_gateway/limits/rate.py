"""One rate as an operator writes it, `600/minute per token`, and who shares its allowance. Pure."""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache

from limits import parse

from kernel_gateway.auth.principal import Principal

WHOM = ("token", "client", "organisation")  # the narrowest first
_RATE = re.compile(
    rf"(?P<allowance>[1-9][0-9]{{0,8}}/([1-9][0-9]{{0,5}} )?(second|minute|hour|day)s?) per (?P<whom>{'|'.join(WHOM)})"
)
_BUCKETS = 4096  # whose digest is kept; another is made when it is asked for


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` within any `seconds`, for each `whom` by itself. `text` is as it was written.

    `token` is whoever a token names, so that a fresh token is no fresh allowance; `client` is that client in that
    organisation.
    """

    text: str
    count: int
    seconds: int
    whom: str


def parse_rate(text: str) -> Rate:
    """Raises ValueError with what to write instead."""
    if (match := _RATE.fullmatch(text)) is None:
        raise ValueError(
            "write `600/minute per token` or `100/10 seconds per client`: a count from 1, "
            f"second, minute, hour or day, and one of {', '.join(WHOM)}"
        )
    item = parse(match["allowance"])
    return Rate(text, item.amount, item.get_expiry(), match["whom"])


def bucket(rate: Rate, kind: str, principal: Principal) -> str:
    """Where the hits of `kind` are counted: the same for all who share the allowance. Names nobody."""
    return _digest(rate.text, rate.whom, kind, *principal.identity)


@lru_cache(maxsize=_BUCKETS)
def _digest(text: str, whom: str, kind: str, issuer: str, organisation: str, subject: str, client: str) -> str:
    """Of a JSON list, which unlike joined names has one reading: nobody can choose a name to fall in another's."""
    sharing = {
        "token": [issuer, organisation, subject, client],
        "client": [issuer, organisation, client],
        "organisation": [organisation],
    }[whom]
    return hashlib.sha256(json.dumps([text, kind, *sharing]).encode()).hexdigest()[:32]
