"""What reading a cell finds. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog import Effect
from catalog.risk import Risk
from kernel_gateway.policy.plan import Plan

MAX_NAMES = 10_000  # of a session: a hundred each of a hundred cells, and 4 MiB of memory


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing in a cell that hides what it does, or is not allowed. `line` counts from 1; 0 is the whole cell."""

    rule: str
    line: int
    message: str
    risk: Risk
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """What a name that a cell leaves behind can call, for the review of later cells.

    `calls`: operation id ("*" is any) -> most calls, when it is called once. `carries`: operations that whoever holds
    it can call at will. `means`: what it is another name of ("server:image_ops", "tool:call_tool", ...). `lazy`: its
    calls are made as its result is used (generators, coroutines), which may be in a later cell.
    """

    calls: Mapping[str, int] = field(default_factory=dict)
    carries: frozenset[str] = frozenset()
    means: frozenset[str] = frozenset()
    lazy: bool = False

    def canonical(self) -> dict[str, Any]:
        """JSON, from which `Definition.of` makes the same again."""
        return {
            "calls": dict(sorted(self.calls.items())),
            "carries": sorted(self.carries),
            "means": sorted(self.means),
            "lazy": self.lazy,
        }

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> "Definition":
        return cls(dict(written["calls"]), frozenset(written["carries"]), frozenset(written["means"]), written["lazy"])


def remember(known: dict[str, Definition], found: Mapping[str, Definition]) -> None:
    """What a cell left behind, among what earlier ones did. What goes for it is not known to later reviews."""
    for name, definition in found.items():
        known.pop(name, None)
        known[name] = definition
    for name in list(known)[: len(known) - MAX_NAMES] if len(known) > MAX_NAMES else ():
        del known[name]


@dataclass(frozen=True, slots=True)
class Review:
    """The reading of one cell. It warns and explains; the boundary is the sandbox, and the plan is kept at the broker.

    `operations` and `effects` are those the cell names, in the catalog's order; where the plan has "*", others can come
    to them. `definitions` are this cell's only: a name, or ".method" for what any object of its classes can be asked.
    """

    plan: Plan
    operations: tuple[str, ...]
    effects: tuple[Effect, ...]
    risk: Risk
    explanation: str
    violations: tuple[Violation, ...]
    imports: tuple[str, ...]
    definitions: Mapping[str, Definition]

    @property
    def refused(self) -> bool:
        return any(each.refused for each in self.violations)
