"""How much an operation, and a cell that calls it, can harm: four words in order."""

from __future__ import annotations

from enum import StrEnum

from catalog.operation import Effect


class Risk(StrEnum):
    """Compares by how grave it is, not by its letters."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def grade(self) -> int:
        return list(Risk).index(self)

    def __lt__(self, other: str) -> bool:
        return self.grade < Risk(other).grade

    def __le__(self, other: str) -> bool:
        return self.grade <= Risk(other).grade

    def __gt__(self, other: str) -> bool:
        return self.grade > Risk(other).grade

    def __ge__(self, other: str) -> bool:
        return self.grade >= Risk(other).grade


RISK_OF_EFFECT = {Effect.READ: Risk.LOW, Effect.WRITE: Risk.MEDIUM, Effect.DELETE: Risk.HIGH}


def may_say(effect: Effect, risk: Risk) -> bool:
    """A document's word counts only where it is graver than what the effect says already."""
    return risk >= RISK_OF_EFFECT[effect]
