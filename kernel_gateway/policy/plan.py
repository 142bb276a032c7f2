"""What a cell may call, and how often: what was approved, and what the broker lets through. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

ANY = "*"  # in a plan: any operation that the caller may use


@dataclass(frozen=True, slots=True)
class Plan:
    """The most calls that one run may make, by operation id; those of "*" come on top, whatever they call."""

    calls: Mapping[str, int]

    def permits(self, operation: str, made: Mapping[str, int]) -> bool:
        """May `operation` be called once more, after the calls that were `made` already, by operation id?"""
        if made.get(operation, 0) < self.calls.get(operation, 0):
            return True
        beyond = sum(max(0, count - self.calls.get(each, 0)) for each, count in made.items())
        return beyond < self.calls.get(ANY, 0)

    def canonical(self) -> dict[str, int]:
        """The same for the same plan, whatever the order in which it was found: for JSON that is signed."""
        return {operation: self.calls[operation] for operation in sorted(self.calls)}
