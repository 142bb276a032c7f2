"""The exact text of every cell that ran: encrypted in its session's vault, and gone with it. Nowhere else is it kept.

Whatever shows it to anybody takes `shown`, which is redacted; only what runs a cell again takes `exact`.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import astuple, dataclass
from typing import Literal

from kernel_gateway.broker import Cell
from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.idempotency import Origin
from kernel_gateway.store.vault import Vault, Write

KIND = "source"  # the vault's; a value's name is its cell's id
Keeping = Literal["kept", "digest-only"]


@dataclass(frozen=True, slots=True)
class Source:
    """A cell as it ran. `origin` is what the keys of its mutations came from."""

    code: str
    origin: Origin


class Sources:
    """`redact` knows this process's own secrets too. With `digest-only` nothing is kept: GatewayError not_available."""

    def __init__(self, vault: Vault, redact: Callable[[str], str], keeping: Keeping) -> None:
        self._vault, self._redact, self._keeping = vault, redact, keeping

    def __repr__(self) -> str:
        return f"<Sources {self._keeping} in {self._vault!r}>"

    async def recover(self, is_open: Callable[[str], bool]) -> None:
        """Before the first cell: shreds what sessions left that ended with their gateway."""
        await self._vault.delete_kind(KIND, keep=is_open)

    def keep(self, cell: Cell, code: str) -> Write | None:
        """What writes the text of the cell, in the transaction of its event. Raises GatewayError internal."""
        if self._keeping == "digest-only":
            return None
        value = json.dumps([code, *astuple(cell.keyed_by)]).encode()
        return self._vault.sealed(cell.session_id, KIND, cell.cell_id, value, is_new=True)

    async def copy(self, session_id: str, to: str, cell_ids: Collection[str]) -> None:
        """For a fork: the text of the cells that led to it."""
        for cell_id, value in (await self._vault.all(session_id, KIND)).items():
            if cell_id in cell_ids:
                await self._vault.put(to, KIND, cell_id, value)

    async def exact(self, session_id: str) -> dict[str, Source]:
        """By the id of their cells."""
        self.require()
        return {cell_id: _read(value) for cell_id, value in (await self._vault.all(session_id, KIND)).items()}

    async def shown(self, session_id: str) -> dict[str, str]:
        """The text of the cells as it may leave: redacted, by the id of their cells."""
        return {cell_id: self.redact(source.code) for cell_id, source in (await self.exact(session_id)).items()}

    def redact(self, code: str) -> str:
        return self._redact(code)

    @property
    def are_kept(self) -> bool:
        return self._keeping == "kept"

    def require(self) -> None:
        """Raises GatewayError not_available."""
        if self._keeping == "digest-only":
            message = "this service keeps digests of cells and not their text; `sessions.source` says so"
            raise GatewayError("not_available", message)


def _read(value: bytes) -> Source:
    code, *origin = json.loads(value)
    return Source(code, Origin(*origin))
