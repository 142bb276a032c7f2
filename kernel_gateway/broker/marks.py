"""Where in an answer its schema says that a string is a signed link. Read once per operation; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

_SENSITIVE, _DIRECTION = "x-sensitive", "x-direction"
_APPLY_HERE = ("allOf", "anyOf", "oneOf")  # any alternative's mark counts: to hide too much is the safe mistake
_ALSO_HERE = ("if", "then", "else")


@dataclass(frozen=True, slots=True)
class Mark:
    """What is said of one place and of those below it. `direction` is "read", "write", or "" where it is not said."""

    sensitive: bool = False
    direction: str = ""
    members: Mapping[str, "Mark"] = field(default_factory=dict)
    patterns: tuple[tuple[re.Pattern[str], "Mark"], ...] = ()
    rest: "Mark | None" = None
    items: "Mark | None" = None

    def member(self, name: str) -> "Mark":
        found = [self.members[name]] if name in self.members else []
        found += [mark for pattern, mark in self.patterns if pattern.search(name)]
        if self.rest is not None:
            found.append(self.rest)
        return self._below(found[0] if len(found) == 1 else _merged(found))

    def item(self) -> "Mark":
        return self._below(self.items or NOTHING)

    def _below(self, mark: "Mark") -> "Mark":
        """What holds for a whole object or list holds for all in it."""
        return replace(mark, sensitive=True) if self.sensitive and not mark.sensitive else mark


NOTHING = Mark()


def marks(schema: object) -> Mark:
    """Of a self-contained schema (no references)."""
    if not isinstance(schema, Mapping):
        return NOTHING
    parts = [marks(each) for key in _APPLY_HERE for each in schema.get(key, ())]
    parts += [marks(schema[key]) for key in _ALSO_HERE if key in schema]
    parts += [marks(each) for each in schema.get("dependentSchemas", {}).values()]
    sensitive = _SENSITIVE in schema and schema[_SENSITIVE] is not False
    items = _merged([marks(schema.get("items")), *(marks(each) for each in schema.get("prefixItems", ()))])
    rest = _merged([marks(schema.get("additionalProperties")), marks(schema.get("unevaluatedProperties"))])
    members = {name: marks(each) for name, each in schema.get("properties", {}).items()}
    patterns = [(re.compile(text), marks(each)) for text, each in schema.get("patternProperties", {}).items()]
    own = Mark(
        sensitive=sensitive,
        direction=_direction(schema),
        members={name: mark for name, mark in members.items() if mark != NOTHING},
        patterns=tuple((pattern, mark) for pattern, mark in patterns if mark != NOTHING),
        rest=None if rest == NOTHING else rest,
        items=None if items == NOTHING else items,
    )
    return _merged([own, *parts])


def _direction(schema: Mapping[str, Any]) -> str:
    given = schema.get(_DIRECTION)
    return given if given in ("read", "write") else ""


def _merged(parts: list[Mark]) -> Mark:
    """All that any of them says. Where they disagree about the direction, nothing is said."""
    parts = [part for part in parts if part is not NOTHING and part != NOTHING]
    if len(parts) < 2:
        return parts[0] if parts else NOTHING
    directions = {part.direction for part in parts if part.direction}
    names = {name for part in parts for name in part.members}
    rests = [part.rest for part in parts if part.rest is not None]
    items = [part.items for part in parts if part.items is not None]
    return Mark(
        sensitive=any(part.sensitive for part in parts),
        direction=directions.pop() if len(directions) == 1 else "",
        members={name: _merged([part.members[name] for part in parts if name in part.members]) for name in names},
        patterns=tuple(pair for part in parts for pair in part.patterns),
        rest=_merged(rests) if rests else None,
        items=_merged(items) if items else None,
    )
