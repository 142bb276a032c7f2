"""The risk of one operation. That of a whole cell is the greatest of its operations' and its violations' risks."""

from catalog import Operation
from catalog.risk import RISK_OF_EFFECT, Risk

__all__ = ["Risk", "risk_of"]


def risk_of(operation: Operation) -> Risk:
    """A read is low, a write medium, a deletion high; the reviewed document's `x-risk` can only raise it."""
    by_effect = RISK_OF_EFFECT[operation.effect]
    return max(by_effect, Risk(operation.risk)) if operation.risk else by_effect
