"""What a session was before each of its cells, as far as it is kept: the commits, the cells, their text."""

from dataclasses import dataclass

from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.durable import Durable
from kernel_gateway.sessions.life import RAN_TO_ITS_END, Life, Ran
from kernel_gateway.sessions.manifest import Manifest, Unit
from kernel_gateway.sessions.sources import Source

_NOTHING = Manifest(format=1, cell=0, units=[], order=[])
_CHANGED_NOTHING = "lost"  # such a cell took its kernel along, and the next one began with the state before it


@dataclass(frozen=True, slots=True)
class Past:
    """A cell that can be run again."""

    ran: Ran
    source: Source


class History:
    """Of the session's present branch; everything is read once. All raise GatewayError where it is not kept."""

    def __init__(self, session_id: str, life: Life, durable: Durable) -> None:
        self._session_id, self._life, self._durable = session_id, life, durable
        self._manifests: dict[int, Manifest] = {0: _NOTHING}
        self._unpicklable: dict[int, dict[str, Unit]] = {}
        self._trail: dict[int, Ran] | None = None
        self._sources: dict[str, Source] = {}

    def __repr__(self) -> str:
        return f"<History {self._session_id}>"

    async def before(self, cell: int) -> Manifest:
        """The newest commit before `cell`; that of a session without any cell where there is none."""
        checkpoints = self._durable.checkpoints
        commit = await checkpoints.at(self._session_id, cell - 1)
        number = 0 if commit is None else commit.cell
        if commit is not None and number not in self._manifests:
            raw = await checkpoints.open(self._durable.mark(self._session_id, self._life), commit, None)
            manifest = await Manifest.parsed(raw, self._durable.settings.max_state_bytes)
            self._manifests[number] = manifest.without_hidden() if self._life.is_fresh else manifest
        return self._manifests[number]

    def unpicklable(self, manifest: Manifest) -> dict[str, Unit]:
        """By variable: what the commit does not hold, and cells can make again."""
        if manifest.cell not in self._unpicklable:
            found = {name: unit for unit in manifest.units if unit.is_unpicklable for name in unit.names}
            self._unpicklable[manifest.cell] = found
        return self._unpicklable[manifest.cell]

    async def cells(self, first: int, last: int) -> list[Past]:
        """Those of `first` to `last` that changed anything."""
        if self._trail is None:
            self._sources = await self._durable.sources.exact(self._session_id)
            self._trail = {ran.number: ran for ran in await self._durable.trail.all(self._session_id)}
        return [past for number in range(first, last + 1) if (past := self._cell(self._trail.get(number), number))]

    def _cell(self, ran: Ran | None, number: int) -> Past | None:
        if ran is not None and ran.status == _CHANGED_NOTHING:
            return None
        if ran is None or ran.cell_id not in self._sources:
            raise GatewayError("not_available", f"the text of its cell {number} is not kept")
        if ran.status not in RAN_TO_ITS_END:
            raise GatewayError("not_available", f"its cell {number} did not run to its end ({ran.status})")
        return Past(ran, self._sources[ran.cell_id])

    async def answers(self, number: int) -> bytes:
        return await self._durable.trail.answers(self._session_id, number)
