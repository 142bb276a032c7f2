"""Fielded BM25 over operations. Built once, immutable, deterministic; a query touches only its own terms' postings.

BM25F after Robertson, Zaragoza and Taylor (2004): term frequencies are weighted and length-normalised per field,
summed, and saturated once, so that a word in the name and the summary is not counted as two independent proofs.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.operation import Effect, Hit, Operation
from catalog.words import intent, is_verb, joined, related, terms

LOW_CONFIDENCE = 0.25  # below it perhaps nothing fits: few unrelated requests reach it, few fitting ones miss it

# Chosen on queries against a public API of 1,200 operations and one of five; plateaus, not peaks.
_K1 = 4.0  # saturation: the weighted frequencies are about three times those that the usual 1.2 is meant for
_RELATED = 0.4  # a word of the same meaning counts less than the word
# Prefer what does as the query's verb asks: "get" and "make" are said of anything, but who says "delete" means it.
_INTENT = {Effect.READ: 1.2, Effect.WRITE: 1.2, Effect.DELETE: 1.4}
_UNRELATED = 20  # imagined other operations that hold none of the words: in a catalog of five, rarity says nothing yet
_DESCRIPTION_CHARACTERS = 500  # a description says first what the operation does; the rest is reference material
_ID = re.compile(r"[a-z][a-z0-9_-]*:[a-z][\w./-]*")  # folded; a URL, a time and prose have another form
_PARAMETER_WORDS = 80  # names and choices of one operation's arguments; more would drown the rest


@dataclass(frozen=True, slots=True)
class Field:
    weight: float
    b: float  # how far a long text is discounted
    strong: bool  # says what the operation is for, not merely what it mentions


FIELDS = {
    "name": Field(3, 0.9, True),
    "path": Field(2, 0.9, True),
    "summary": Field(3, 0.9, True),
    "description": Field(1, 0.75, False),
    "parameters": Field(1, 0.75, False),
    "server": Field(2, 0.9, True),
    "tags": Field(1, 0.9, True),
}


class Index:
    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = tuple(operations)
        self._exact: dict[str, list[int]] = defaultdict(list)
        self._named: dict[str, list[int]] = defaultdict(list)
        for number, operation in enumerate(self._operations):
            for key in _exact_keys(operation):
                self._exact[key].append(number)
            for key in _names(operation):
                self._named[key].append(number)
        self._rare = _idf(len(self._operations), 0)
        self._postings: dict[str, dict[int, tuple[float, bool]]] = {}
        self._idf: dict[str, float] = {}
        self._build()

    def __repr__(self) -> str:
        return f"<Index {len(self._operations)} operations, {len(self._postings)} terms>"

    def search(self, query: str, limit: int = 10) -> list[Hit]:
        """At most `limit` hits, best first; ties in the catalog's order.

        A score is the share of the best possible one; 1.0 for an exact operation id, name or path (method or not).
        An id or a path means what it names and nothing else; a name is a word too, and behind it comes what has it.
        """
        exact, named = self._meant(query)
        scores = {**({} if exact else self._scores(query)), **dict.fromkeys(exact or named, 1.0)}
        ranked = sorted(scores.items(), key=lambda item: (item[0] not in named, -item[1], item[0]))
        return [Hit(self._operations[number], round(score, 6)) for number, score in ranked[: max(limit, 0)]]

    def confidence(self, query: str) -> float:
        """How much of what the query says the best hit speaks of, 0..1; low where nothing fits (see LOW_CONFIDENCE).

        0 for an id that is not here, whatever its words: what is like it is something else.
        """
        if any(self._meant(query)):
            return 1.0
        if is_id(query):
            return 0.0
        scores = self._scores(query)
        if not scores:
            return 0.0
        best = min(scores, key=lambda number: (-scores[number], number))
        asked = {term: 0.5 if is_verb(term) or term.isdecimal() else 1.0 for term in terms(query)}
        return round(sum(weight * self._said(term, best) for term, weight in asked.items()) / sum(asked.values()), 6)

    def _said(self, term: str, number: int) -> float:
        """How plainly an operation speaks of a term: 1 in a strong field, less elsewhere or in other words."""
        if found := self._postings.get(term, {}).get(number):
            return 1.0 if found[1] else 0.6
        return max(
            (
                0.7 * (1.0 if self._postings[other][number][1] else 0.6)
                for other in related(term)
                if number in self._postings.get(other, {})
            ),
            default=0.0,
        )

    def _scores(self, query: str) -> dict[int, float]:
        asked = dict.fromkeys((*terms(query), *(term for term in joined(query) if term in self._postings)))
        best_possible = sum(self._idf.get(term, self._rare) for term in asked)
        scores: dict[int, float] = defaultdict(float)
        for term in asked:
            found = {number: value for number, (value, _) in self._postings.get(term, {}).items()}
            for other in related(term):
                for number, (value, _) in self._postings.get(other, {}).items():
                    found[number] = max(found.get(number, 0.0), _RELATED * value)
            for number, value in found.items():
                scores[number] += value
        wanted = intent(query)
        preference = _INTENT[wanted] if wanted else 1.0
        return {
            number: min(score / best_possible, 1.0)
            * (1.0 if self._operations[number].effect == wanted else 1 / preference)
            for number, score in scores.items()
        }

    def _meant(self, query: str) -> tuple[list[int], list[int]]:
        """What it is the id or path of, and what it is the name of."""
        key = _normal(query)
        return self._exact.get(key, []), self._named.get(key, [])

    def _build(self) -> None:
        counted = [{name: Counter(terms(text)) for name, text in _texts(each).items()} for each in self._operations]
        count = max(len(counted), 1)
        average = {name: sum(each[name].total() for each in counted) / count or 1.0 for name in FIELDS}
        weighted: dict[str, dict[int, tuple[float, bool]]] = defaultdict(dict)
        for number, texts in enumerate(counted):
            for name, field in FIELDS.items():
                norm = field.weight / (1 - field.b + field.b * texts[name].total() / average[name])
                for term, times in texts[name].items():
                    value, strong = weighted[term].get(number, (0.0, False))
                    weighted[term][number] = (value + norm * times, strong or field.strong)
        for term, found in weighted.items():
            idf = self._idf[term] = _idf(count, len(found))
            self._postings[term] = {n: (idf * value / (_K1 + value), strong) for n, (value, strong) in found.items()}


def _idf(count: int, containing: int) -> float:
    return math.log(1 + (count + _UNRELATED - containing + 0.5) / (containing + 0.5))


def _texts(operation: Operation) -> dict[str, str]:
    return {
        "name": operation.name,
        "path": operation.path,
        "summary": operation.summary,
        "description": operation.description[:_DESCRIPTION_CHARACTERS],
        "parameters": " ".join(_parameter_words(operation)),
        "server": f"{operation.server} {operation.server_title}",
        "tags": " ".join(operation.tags),
    }


def _parameter_words(operation: Operation) -> list[str]:
    words = (word for each in operation.parameters for word in (each.name, *_schema_words(each.schema)))
    return [word for word, _ in zip(words, range(_PARAMETER_WORDS), strict=False)]


def _schema_words(schema: Any) -> Iterator[str]:
    """The names of properties and the choices (`resize`, `crop`) anywhere in a schema."""
    if not isinstance(schema, Mapping):
        return
    for choice in (*(schema.get("enum") or ()), schema.get("const")):
        if isinstance(choice, str):
            yield choice
    for name, inner in (schema.get("properties") or {}).items():
        yield name
        yield from _schema_words(inner)
    yield from _schema_words(schema.get("items"))
    for key in ("oneOf", "anyOf", "allOf"):
        for inner in schema.get(key) or ():
            yield from _schema_words(inner)


def is_id(query: str) -> bool:
    """Whether the whole query has the form of an operation id, `server:name`."""
    return _ID.fullmatch(_normal(query)) is not None


def _exact_keys(operation: Operation) -> set[str]:
    """What can mean nothing but the operation."""
    return {_normal(text) for text in (operation.id, operation.path, f"{operation.method} {operation.path}")}


def _names(operation: Operation) -> set[str]:
    return {_normal(text) for text in (operation.id.partition(":")[2], operation.name)}


def _normal(text: str) -> str:
    """Case, surrounding space, a last slash and what a path parameter is called make no difference."""
    text = re.sub(r"\{[^{}]*\}", "{}", " ".join(text.casefold().split()))
    return text.rstrip("/") or text
