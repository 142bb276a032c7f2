"""Text -> the terms that search compares: names split on case, snake and kebab, stemmed, without stop words.

The tables hold the vocabulary that API descriptions share; nothing in them belongs to one API.
"""

from __future__ import annotations

import itertools
import re
import threading
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import snowballstemmer

from catalog.operation import Effect

MAX_TEXT = 4_000  # characters of one text that are indexed: past that, descriptions are reference material

_WORD = re.compile(r"[^\W_]+")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_STOP_WORDS = """
    a am an and any are as at be been by can could did do does for from had has have he her his how i if in
    into is it its like me much many my need no not of on one or our out over please she should so some than
    that the their them then there these they this those to too up us want was we were what when where which
    who will with would you your
"""
_STOP = frozenset(_STOP_WORDS.split())
_INTENTS = {
    Effect.READ: """
        are check count did display does download fetch find get had has have how is list look read retrieve see show
        view watch was were what when where which who""",
    Effect.WRITE: """
        add apply assign change convert create edit enable make new post put register rename run save send set start
        submit transform trigger update upload write""",
    Effect.DELETE: "clean cleanup clear delete destroy discard drop erase purge remove unassign wipe",
}
_INTENT = {word: effect for effect, words in _INTENTS.items() for word in words.split()}
_GROUPS = (
    "create add make new insert register",
    "delete remove erase purge destroy discard clean wipe clear",
    "get fetch read retrieve show view download",
    "list browse enumerate all every",
    "update change edit modify patch set",
    "find search lookup query",
    "start run launch begin execute trigger initiate",
    "stop cancel abort halt terminate",
    "status state progress finished done ready complete",
    "remaining left available",
    "quota limit allowance",
    "image picture photo photograph",
    "file document attachment",
    "organisation organization org company",
    "user account member person",
)


def terms(text: str) -> list[str]:
    """The terms of a text, in order. `createJob` gives create, job and createjob, so that both spellings are found."""
    return [stem(part) for part in _parts(text) if part not in _STOP]


def joined(query: str) -> Iterator[str]:
    """Neighbouring words written as one (`clean up` -> cleanup): terms to look for too, where anything has them."""
    parts = list(_parts(query))
    return (stem(first + second) for first, second in itertools.pairwise(parts))


def intent(query: str) -> Effect | None:
    """What the query asks to happen, by the first word that says so."""
    return next((_INTENT[part] for part in _parts(query) if part in _INTENT), None)


def is_verb(term: str) -> bool:
    """Whether the term only says what to do, not to what: alone it is weak evidence that anything fits."""
    return term in _verbs()


def related(term: str) -> frozenset[str]:
    """Terms of the same meaning in API descriptions; without the term itself."""
    return _related().get(term, frozenset())


def _parts(text: str) -> Iterator[str]:
    for word in _WORD.findall(unicodedata.normalize("NFKC", text[:MAX_TEXT])):
        parts = _PART.findall(word) if word.isascii() else [word]
        yield from (part.casefold() for part in parts)
        if len(parts) > 1:
            yield word.casefold()


_stemmer = snowballstemmer.stemmer("english")
_stemming = threading.Lock()  # a stemmer keeps its word in itself


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    with _stemming:
        return str(_stemmer.stemWord(word))


@lru_cache(maxsize=1)
def _verbs() -> frozenset[str]:
    return frozenset(stem(word) for word in _INTENT)


@lru_cache(maxsize=1)
def _related() -> dict[str, frozenset[str]]:
    groups = [frozenset(stem(word) for word in group.split()) for group in _GROUPS]
    every = frozenset[str]().union(*groups)
    return {term: frozenset[str]().union(*(group for group in groups if term in group)) - {term} for term in every}
