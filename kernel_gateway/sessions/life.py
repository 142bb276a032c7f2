"""What of a session outlives its kernel and its gateway, besides its variables. Values, and their text. Pure."""

import json
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from kernel_gateway.auth.principal import Principal
from kernel_gateway.limits.usage import NOTHING, Usage

RAN_TO_ITS_END = ("ok", "error")
"""The statuses of cells that can be run again."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A cell whose end was told and whose kernel lived on: until it is committed it can be run again."""

    number: int
    cell_id: str
    status: str
    timeout_seconds: float


@dataclass(slots=True)
class Life:
    """`owner` as it was at the opening. `epoch` counts how often the session went back to an earlier cell, `losses` how
    often it lost some of its state. `lineage` is shared by all that were forked from one another; `parent` and
    `parent_cell` say from where. `pending` are the cells after the last commit. `used` is what its account counted.

    `going_back_to` is the cell to which it is just going back; `ended` what kernels were given that ended them.

    `is_fresh`: what its kernel loads first must share nothing with its siblings, such as the state of random numbers.
    """

    owner: Principal
    opened_at: float
    used_at: float
    lineage: str
    cells: int = 0
    epoch: int = 0
    losses: int = 0
    parent: str = ""
    parent_cell: int = 0
    last_cell_id: str = ""
    is_fresh: bool = False
    going_back_to: int = 0
    ended: list[str] = field(default_factory=list)
    pending: list[Ran] = field(default_factory=list)
    calls: int = 0
    writes: int = 0
    used: Usage = NOTHING

    def text(self) -> bytes:
        values = {name: getattr(self, name) for name in self.__slots__}
        values |= {"owner": _flat(self.owner), "pending": [asdict(ran) for ran in self.pending]}
        return json.dumps(values).encode()

    @classmethod
    def read(cls, raw: bytes) -> "Life":
        values: dict[str, Any] = json.loads(raw)
        values["owner"] = _principal(values["owner"])
        values["pending"] = [Ran(**each) for each in values["pending"]]
        values["used"] = Usage(*values["used"])
        return cls(**values)


@lru_cache(maxsize=1024)
def _flat(principal: Principal) -> dict[str, Any]:
    """As JSON has it: sets of scopes as sorted lists."""
    values = {name: getattr(principal, name) for name in Principal.__slots__}
    return values | {"scopes": sorted(principal.scopes), "alongside": [_flat(each) for each in principal.alongside]}


def _principal(values: dict[str, Any]) -> Principal:
    alongside = tuple(map(_principal, values.pop("alongside")))
    return Principal(**{**values, "scopes": frozenset(values["scopes"]), "alongside": alongside})
