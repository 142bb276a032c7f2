"""Divides one budget among several wants, so that one large part never starves a small one. Pure."""

from collections.abc import Sequence


def shares(wants: Sequence[int], budget: int) -> list[int]:
    """What each part gets, in order: all it wants where that is less than an equal part of what is left."""
    granted = [0] * len(wants)
    left = max(0, budget)
    smallest_first = sorted(range(len(wants)), key=lambda index: wants[index])
    for position, index in enumerate(smallest_first):
        granted[index] = min(wants[index], left // (len(wants) - position))
        left -= granted[index]
    return granted
