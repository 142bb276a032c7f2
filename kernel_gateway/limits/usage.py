"""What is counted: calls, writes among them, bytes, and the running time of cells. Values only."""

from dataclasses import dataclass
from typing import NamedTuple

UNLIMITED = 2**63 - 1  # the largest number that a database holds


class Usage(NamedTuple):
    """Whole numbers, so that nothing is lost however often it is reserved and given back."""

    calls: int = 0
    writes: int = 0
    bytes: int = 0
    milliseconds: int = 0

    def plus(self, other: "Usage") -> "Usage":
        return Usage(
            self[0] + other[0],
            self[1] + other[1],
            self[2] + other[2],
            self[3] + other[3],
        )

    def minus(self, other: "Usage") -> "Usage":
        return Usage(
            self[0] - other[0],
            self[1] - other[1],
            self[2] - other[2],
            self[3] - other[3],
        )

    def beyond(self, most: "Usage") -> str:
        """The first unit of which this is more than `most`, or empty."""
        if self[0] <= most[0] and self[1] <= most[1] and self[2] <= most[2] and self[3] <= most[3]:
            return ""
        return next(unit for unit, mine, limit in zip(self._fields, self, most, strict=True) if mine > limit)


NOTHING = Usage()


@dataclass(slots=True)
class Tally:
    """What somebody has used and reserved so far."""

    used: Usage = NOTHING


def name(unit: str) -> str:
    """As the settings call it."""
    return "seconds" if unit == "milliseconds" else unit


def number(unit: str, value: int) -> str:
    """In what `name` calls it."""
    return f"{value / 1000:g}" if unit == "milliseconds" else str(value)
