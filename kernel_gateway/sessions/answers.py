"""What the calls of a cell were answered with, encrypted, until the state after that very cell is committed.

A cell that was committed together with later ones keeps them: to go back to it is to run it again.
"""

from sqlalchemy import Connection

from kernel_gateway.broker import Notes
from kernel_gateway.store.database import Database
from kernel_gateway.store.vault import Vault

_KIND = "calls"  # the vault's; a value's name is its cell's number


class Answers:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault

    def __repr__(self) -> str:
        return f"<Answers in {self._vault!r}>"

    def write(self, connection: Connection, session_id: str, cell: int, notes: Notes) -> None:
        """Inside a transaction of somebody else's."""
        if notes:
            self._vault.write(connection, session_id, _KIND, str(cell), notes.text())

    async def of(self, session_id: str, cell: int) -> bytes:
        """Empty where nothing is kept."""
        return await self._vault.get(session_id, _KIND, str(cell)) or b""

    async def forget(self, session_id: str, cell: int) -> None:
        await self._vault.delete(session_id, _KIND, str(cell))
