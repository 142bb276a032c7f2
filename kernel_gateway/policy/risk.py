"""How much harm an operation or a cell can do, as an ordered word. Pure."""

from enum import StrEnum

from catalog import Effect, Operation


class Risk(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Risk).index(self)

    def __lt__(self, other: str) -> bool:
        return self.rank < Risk(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Risk(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Risk(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Risk(other).rank


_OF_EFFECT = {Effect.READ: Risk.LOW, Effect.WRITE: Risk.MEDIUM, Effect.DELETE: Risk.HIGH}


def risk_of(operation: Operation) -> Risk:
    return _OF_EFFECT[operation.effect]
