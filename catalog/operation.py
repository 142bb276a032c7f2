"""One approved operation, and the immutable set of them."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog.index import Index


_MAX_LIKENED = 100  # characters of a name that are compared: its cost grows with their number squared


class Effect(StrEnum):
    """What an operation does to the world: a Cedar action, and the word a person reads."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"


class Idempotency(StrEnum):
    """Whether the operation takes an Idempotency-Key header."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One keyword argument. `where` is path, query, header or body; `name` is the Python name, `wire_name` the API's.

    A body argument is one property of the JSON body, or, with an empty `wire_name`, the whole body.
    """

    name: str
    wire_name: str
    where: str
    required: bool
    schema: Mapping[str, Any]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One reviewed entry of a reduced OpenAPI document. All schemas are self-contained (references resolved).

    `arguments` is the JSON schema of the keyword arguments as one object with `additionalProperties: false`;
    `answer` that of the 2xx body; `answer_statuses` the documented 2xx codes; `digest` covers all of it. An operation
    whose document names no single scope has scope "", which nobody holds: it can be searched for, never used.
    """

    id: str  # "image_ops:jobs_create"
    server: str
    name: str  # "jobs_create"
    method: str  # upper case
    path: str
    summary: str
    description: str
    effect: Effect
    scope: str
    idempotency: Idempotency
    parameters: tuple[Parameter, ...]
    arguments: Mapping[str, Any]
    answer: Mapping[str, Any]
    answer_statuses: tuple[int, ...]
    tags: tuple[str, ...] = ()
    digest: str = ""
    server_title: str = ""  # the API's own name for itself, as people read it
    risk: str = ""  # a word of catalog.risk where the document says more than the effect does

    def __repr__(self) -> str:
        return f"<Operation {self.id} {self.method} {self.path} {self.effect}>"


def digest_of(operation: Operation) -> str:
    """SHA-256 over the canonical JSON of everything that is served, which a reviewer therefore has read."""
    content = {each.name: getattr(operation, each.name) for each in fields(operation) if each.name != "digest"}
    if not operation.risk:
        del content["risk"]  # what is not said changes no digest
    content["parameters"] = [
        {each.name: getattr(one, each.name) for each in fields(one)} for one in operation.parameters
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Hit:
    """A search result: best first, `score` in 0..1 relative to the best possible."""

    operation: Operation
    score: float


@dataclass(frozen=True)
class Catalog:
    """Operations in a fixed order. Immutable; `digest` names its exact content."""

    operations: tuple[Operation, ...]
    _by_id: dict[str, Operation] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_id = {operation.id: operation for operation in self.operations}
        if len(by_id) != len(self.operations):
            raise ValueError("two operations share one id")
        object.__setattr__(self, "_by_id", by_id)

    @classmethod
    def from_openapi(cls, document: Mapping[str, Any], server: str) -> Catalog:
        """Any OpenAPI document, to search in (what may be *served* comes from `catalog.reviewed`).

        The server's name is made an identifier in lower case, as it is written in cells: `My-API v2` is `my_api_v2`.
        Raises catalog.openapi.DocumentError where the document is none.
        """
        from catalog.openapi import operations

        return cls(tuple(operations(document, server)))

    @classmethod
    def merge(cls, catalogs: Iterable[Catalog]) -> Catalog:
        return cls(tuple(operation for each in catalogs for operation in each.operations))

    def get(self, operation_id: str) -> Operation | None:
        return self._by_id.get(operation_id)

    def only(self, allowed: Callable[[Operation], bool]) -> Catalog:
        """The part a caller may use."""
        return Catalog(tuple(operation for operation in self.operations if allowed(operation)))

    def nearest(self, name: str, limit: int = 3) -> list[str]:
        """The ids that `name` may be a slip of, with or without the server; none where nothing is like it."""
        known = {each.id: each.id for each in self.operations}
        known |= {each.partition(":")[2]: each for each in known}
        found = difflib.get_close_matches(name.strip()[:_MAX_LIKENED], known, limit)
        return list(dict.fromkeys(known[each] for each in found))

    def search(self, query: str, limit: int = 10) -> list[Hit]:
        return self.index.search(query, limit)

    @cached_property
    def index(self) -> Index:
        from catalog.index import Index

        return Index(self.operations)

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps([o.digest for o in self.operations]).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.operations)
