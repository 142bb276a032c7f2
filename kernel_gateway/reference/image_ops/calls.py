"""One row per authenticated call: the upstream's own count, and who the gateway said had asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from catalog import Operation
from kernel_gateway.reference.image_ops.access import Caller
from kernel_gateway.reference.image_ops.state import State


@dataclass(frozen=True, slots=True)
class Call:
    """`asker` has org, sub, client and session where the gateway signed for them."""

    at: float
    operation: str
    organisation: str
    client: str
    status: int
    replayed: bool
    asker: dict[str, Any] | None


class Calls:
    def __init__(self, state: State, clock: Callable[[], float]) -> None:
        self._state, self._clock = state, clock

    def record(self, operation: Operation, caller: Caller, status: int, replayed: bool) -> None:
        asker = json.dumps(caller.asker) if caller.asker else None
        self._state.run(
            "insert into calls values (?, ?, ?, ?, ?, ?, ?)",
            *(self._clock(), operation.name, caller.organisation, caller.client, status, replayed, asker),
        )

    def all(self) -> list[Call]:
        """In the order of their answers."""
        rows = [dict(row) for row in self._state.rows("select * from calls order by rowid")]
        for row in rows:
            row["asker"] = json.loads(row["asker"]) if row["asker"] else None
            row["replayed"] = bool(row["replayed"])
        return [Call(**row) for row in rows]
