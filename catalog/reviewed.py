"""Only what a person has read is served: an operation whose digest is not pinned in reviewed.toml does not exist."""

from __future__ import annotations

import datetime
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.document import DocumentError, files, read, server_of
from catalog.openapi import operations
from catalog.operation import Catalog, Operation

SPECS = Path(__file__).parent / "specs"
REVIEWED = SPECS / "reviewed.toml"
_KEYS = ("digest", "reviewer", "date", "reason")


@dataclass(frozen=True, slots=True)
class Pin:
    """Who read exactly this text of an operation, when, and why it is served."""

    digest: str
    reviewer: str
    date: datetime.date
    reason: str


def load_served(specs_folder: Path = SPECS, reviewed_toml: Path = REVIEWED) -> tuple[Catalog, list[str]]:
    """The operations that are pinned as they stand, and the ids of those that are not. Raises DocumentError."""
    pinned = pins(reviewed_toml)
    every = written(specs_folder).operations
    served = tuple(each for each in every if is_pinned(each, pinned))
    return Catalog(served), [each.id for each in every if not is_pinned(each, pinned)]


def written(specs_folder: Path) -> Catalog:
    """Every operation of the folder's documents, read strictly, pinned or not."""
    try:
        found = files(specs_folder)
    except OSError as error:
        raise DocumentError(f"cannot read the folder `{specs_folder}`: {error.strerror}") from error
    return Catalog(tuple(each for path in found for each in _strict(path)))


def is_pinned(operation: Operation, pinned: Mapping[str, Pin]) -> bool:
    return operation.id in pinned and pinned[operation.id].digest == operation.digest


def pins(path: Path) -> dict[str, Pin]:
    """What reviewed.toml says, by operation id. Raises DocumentError: a file that is not understood pins nothing."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DocumentError(f"cannot read `{path}`: {error.strerror}; make it with `catalog review`") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DocumentError(f"`{path.name}` is not valid TOML: {error}") from error
    return {operation_id: _pin(operation_id, value) for operation_id, value in values.items()}


def block(operation: Operation, *, reviewer: str, date: datetime.date, reason: str) -> str:
    """The TOML that pins the operation as it stands. JSON strings without DEL are TOML strings."""
    lines = [f"digest = {_quoted(operation.digest)}", f"reviewer = {_quoted(reviewer)}", f"date = {date.isoformat()}"]
    return "\n".join((f"[{_quoted(operation.id)}]", *lines, f"reason = {_quoted(reason)}", ""))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _pin(operation_id: str, value: Any) -> Pin:
    if not isinstance(value, dict) or sorted(value) != sorted(_KEYS):
        raise DocumentError(f"the review of `{operation_id}` must have exactly the keys {', '.join(_KEYS)}")
    texts = [value["digest"], value["reviewer"], value["reason"]]
    if not all(isinstance(text, str) and text.strip() for text in texts) or type(value["date"]) is not datetime.date:
        raise DocumentError(
            f"the review of `{operation_id}` needs a digest, a reviewer, a reason and a date like 2026-01-31"
        )
    return Pin(value["digest"], value["reviewer"], value["date"], value["reason"])


def _strict(path: Path) -> list[Operation]:
    try:
        return list(operations(read(path), server_of(path), strict=True))
    except DocumentError as error:
        raise DocumentError(f"`{path.name}`: {error.message}", error.pointer) from error
