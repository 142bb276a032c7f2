"""Which cells have to run for a variable to be there again, and on what. Worked out backwards.

The last cell that touched it runs on the newest commit before that cell; what this commit lacks too, and the cell
needs, is made first in the same way. Whatever a commit does hold is loaded and never run for.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.history import History, Past
from kernel_gateway.sessions.manifest import Manifest, Unit

_REACHES_ALL = frozenset({"globals", "locals", "vars", "exec", "eval", "dir", "get_ipython", "__main__"})
_IDENTIFIERS = re.compile(r"[^\W\d]\w*")


@dataclass(slots=True, eq=False)
class Plan:
    """For one unit. `stages`: by the commit to run on, the cells to run; `names` are made on the way, of `needs`."""

    unit: Unit
    stages: dict[int, list[Past]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    needs: set[str] = field(default_factory=set)

    @property
    def cells(self) -> set[int]:
        return {past.ran.number for stage in self.stages.values() for past in stage}


async def plan_of(unit: Unit, history: History) -> Plan:
    """Raises GatewayError where something that it takes is not kept."""
    plan, waiting, seen = Plan(unit), [unit], set[tuple[str, int]]()
    while waiting:
        unit = waiting.pop()
        if not unit.cells:
            raise GatewayError("not_available", "which cells made it is not known")
        before = await history.before(last := unit.cells[-1])
        cells = await history.cells(before.cell + 1, last)
        plan.stages[before.cell] = max(plan.stages.get(before.cell, []), cells, key=len)
        plan.names.update(unit.names)
        plan.needs.update(unit.names, unit.needs)
        lacks = history.unpicklable(before)
        for name in lacks.keys() & {*unit.names, *unit.needs, *words(cells)}:
            if (name, before.cell) not in seen:
                seen.update((each, before.cell) for each in lacks[name].names)
                waiting.append(lacks[name])
    return plan


def words(cells: Iterable[Past]) -> set[str]:
    """Every name that stands in their text, and more."""
    return {word for past in cells for word in _IDENTIFIERS.findall(past.source.code)}


def needed(manifest: Manifest, names: set[str]) -> set[str] | None:
    """Those of its variables that `names` mean, with what their code reads; None where that may be any of them."""
    if names & _REACHES_ALL:
        return None
    units = {name: unit for unit in manifest.units for name in unit.names}
    found, waiting = {name for name in units if name.startswith("@")}, [*names]
    while waiting:
        unit = units.get(name := waiting.pop())
        if unit is None or name in found:
            continue
        if unit.wild and not unit.lost:
            return None
        found.update(unit.names)
        waiting += unit.reads
    return found
