"""One figure as it was measured, and how two sides are measured in turn. No I/O of its own."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Side = Callable[[], Awaitable[Sequence[float]]]
"""Measures once, or a few times, and says the milliseconds of each."""


class UnmeasurableError(Exception):
    """This machine or this user cannot measure a figure; the text says what would."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure may be at most: its median divided by the peer's, or its median itself."""

    at_most: float
    of: Literal["ratio", "value"]


@dataclass(frozen=True, slots=True)
class Row:
    """`peer` names what `theirs` was measured on in the same run; `note` is what a reader of the numbers must know."""

    figure: str
    unit: str
    ours: tuple[float, ...]
    peer: str = ""
    theirs: tuple[float, ...] = ()
    bar: Bar | None = None
    note: str = ""

    @property
    def value(self) -> float:
        return statistics.median(self.ours)

    @property
    def ratio(self) -> float | None:
        return self.value / statistics.median(self.theirs) if self.theirs else None

    @property
    def holds(self) -> bool:
        """A figure without a bar holds."""
        if self.bar is None:
            return True
        judged = self.ratio if self.bar.of == "ratio" else self.value
        return judged is not None and judged <= self.bar.at_most

    def json(self) -> dict[str, Any]:
        """The contract's object. Whether `bar` is for `ratio` or for `value`, the table says, and samples.json."""
        return {
            "figure": self.figure,
            "value": round(self.value, 3),
            "unit": self.unit,
            "against": self.peer or None,
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "bar": self.bar.at_most if self.bar else None,
            "holds": self.holds,
        }


def since(started: float) -> float:
    """Milliseconds since that `time.perf_counter()`."""
    return (time.perf_counter() - started) * 1000


def percentile_95(samples: Sequence[float]) -> float:
    """The smallest sample that at least 95 % of them do not exceed."""
    ordered = sorted(samples)
    return ordered[-(-95 * len(ordered) // 100) - 1]


async def in_turn(
    ours: Side, theirs: Side, *, rounds: int, warm_up: int, progress: Callable[[int, int], None]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Both sides once a round, the first one changing, so that a noisy machine disturbs both alike."""
    of_ours: list[float] = []
    of_theirs: list[float] = []
    for number in range(-warm_up, rounds):
        progress(number + warm_up, rounds + warm_up)
        sides = [(ours, of_ours), (theirs, of_theirs)]
        for measure, samples in sides if number % 2 else reversed(sides):
            measured = await measure()
            if number >= 0:
                samples.extend(measured)
    return tuple(of_ours), tuple(of_theirs)
