"""Secrets of issuers, names, places and files beyond those of the other sets, told by form and place; ids stay."""

import json
import random
from collections.abc import Iterator

import pytest

from kernel_gateway.audit.redact import redact
from tests.audit import redaction_cases as cases
from tests.audit.test_redaction_recall import gone

Case = tuple[str, list[str]]  # the text, and what must be gone or stay
NAMED_VALUES = ("{a:32}", "{x:40}", "{w:43}", "{b:43}=", "{a:20}", "{l:24}")
PLAIN_PLACES = ("ini", "yaml quoted key", "json pair object", "printenv", "java", "html table", "csv quoted", "psql")


def tokens(rng: random.Random) -> Iterator[Case]:
    for template in cases.TOKENS:
        for context in cases.BARE.values():
            token, made = cases.fill(template, rng)
            yield context(token), [max(made, key=len)]


def names(rng: random.Random) -> Iterator[Case]:
    for name in cases.NAMES:
        for context in rng.sample(sorted(cases.NAMED), 10):
            value, _ = cases.fill(rng.choice(NAMED_VALUES), rng)
            yield cases.NAMED[context](name, value), [value]


def contexts(rng: random.Random) -> Iterator[Case]:
    for context in cases.NAMED.values():
        for name in rng.sample(cases.NAMES, 20):
            value, _ = cases.fill(rng.choice(NAMED_VALUES), rng)
            yield context(name, value), [value]


def places(rng: random.Random) -> Iterator[Case]:
    for template in cases.PLACES:
        for _ in range(5):
            text, made = cases.fill(cases.unescaped(template), rng)
            yield text, [value for value in made if len(value) >= 8]


def values(rng: random.Random) -> Iterator[Case]:
    for names, template in cases.HARMLESS_VALUES:
        for name in names.split():
            for place in PLAIN_PLACES:
                value, _ = cases.fill(template, rng)
                yield cases.NAMED[place](name, value), [value]
            yield json.dumps({name: value}), [value]


def sentences(rng: random.Random) -> Iterator[Case]:
    for template in cases.HARMLESS:
        for _ in range(5):
            text, _ = cases.fill(cases.unescaped(template), rng)
            yield text, [text]


@pytest.mark.parametrize("make", [tokens, names, contexts, places])
def test_at_least_99_percent_of_secrets_of_unlisted_kinds_are_removed(make):
    made = list(make(random.Random(11)))
    left = [(text, redact(text)) for text, secrets in made if not all(gone(each, redact(text)) for each in secrets)]
    assert len(left) <= len(made) * 0.01, f"{len(left)} of {len(made)}\n" + "\n".join(map(str, left[:40]))


@pytest.mark.parametrize("make", [values, sentences])
def test_at_least_99_percent_of_what_looks_like_them_is_kept(make):
    made = [(text, kept) for text, kept in make(random.Random(12)) if all(each in text for each in kept)]
    lost = [(text, redact(text)) for text, kept in made if not all(each in redact(text) for each in kept)]
    assert len(lost) <= len(made) * 0.01, f"{len(lost)} of {len(made)}\n" + "\n".join(map(str, lost[:40]))


@pytest.mark.parametrize("make", [tokens, contexts, places])
def test_redacting_twice_changes_nothing(make):
    for text, _ in make(random.Random(13)):
        once = redact(text)
        assert redact(once) == once
