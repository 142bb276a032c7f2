"""What a cell may call, and how often: the contract between whoever agreed to it and the inner door. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

ANY = "*"  # any operation that the caller may use


@dataclass(frozen=True, slots=True)
class Plan:
    """`calls`: operation id -> the most calls."""

    calls: Mapping[str, int] = field(default_factory=dict)

    def permits(self, operation: str, made: Mapping[str, int]) -> bool:
        """Whether one more call is within the plan, after `made`."""
        return made.get(operation, 0) < max(self.calls.get(operation, 0), self.calls.get(ANY, 0))

    def canonical(self) -> dict[str, int]:
        return dict(sorted(self.calls.items()))
