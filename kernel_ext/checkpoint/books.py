"""What a saver remembers between saves."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from kernel_ext.checkpoint.touched import Reach

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Budget:
    """What one save may take: over it a unit is lost, with the reason. Bytes are of chunks that are handed out."""

    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Unit:
    """`entry` is what the manifest says of it; `draws` where a figure is in it, which drawing changes unnamed."""

    entry: dict[str, Any]
    reach: Reach
    draws: bool = False

    def held(self, chunks: Collection[str]) -> bool:
        """Whether the store has all of it."""
        return all(name in chunks for name in chunks_of(self.entry))


@dataclass(frozen=True, slots=True)
class History:
    """The cells that made a variable what it is, and the names those read."""

    cells: frozenset[int] = frozenset()
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Books:
    """What is known of the namespace since the last save; `seen` is {name: id of its value}, `got_out`
    whether a cell can have kept the namespace itself.

    They are replaced as a whole, so that a save that is stopped changes nothing.
    """

    units: dict[str, Unit] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    history: dict[str, History] = field(default_factory=dict)
    cell: int = 0
    always_all: bool = False
    got_out: bool = False


def chunks_of(entry: dict[str, Any]) -> list[str]:
    """The chunks of one unit of a manifest."""
    parts = [entry["stream"], *entry["buffers"]] if "stream" in entry else []
    return [name for part in parts for name in part["chunks"]]
