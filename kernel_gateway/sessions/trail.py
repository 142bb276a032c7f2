"""The cells that led to a session's state, in the vault, and what their calls were answered with.

The answers are kept until the state after that very cell is committed (answers.py says when longer). A cell that was
committed only together with later ones keeps them, for to go back to it is to run it again.
"""

import base64
import json
from typing import Any

from kernel_gateway.sessions.life import Ran
from kernel_gateway.store.vault import Vault, Write

_KIND = "ran"  # the vault's; a value's name is its cell's number


class Trail:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def __repr__(self) -> str:
        return f"<Trail in {self._vault!r}>"

    def sealed(self, session_id: str, ran: Ran, answers: bytes) -> Write:
        """What does as `put`, inside a transaction of somebody else's."""
        return self._vault.sealed(session_id, _KIND, str(ran.number), _written(ran, answers))

    async def put(self, session_id: str, ran: Ran, answers: bytes = b"") -> None:
        await self._vault.put(session_id, _KIND, str(ran.number), _written(ran, answers))

    async def session_ids(self) -> list[str]:
        return await self._vault.holders(_KIND)

    async def all(self, session_id: str) -> list[Ran]:
        """In their order."""
        return [ran for ran, _ in await self._all(session_id)]

    async def answered(self, session_id: str) -> list[Ran]:
        """Those of them whose calls' answers are kept."""
        return [ran for ran, answers in await self._all(session_id) if answers]

    async def answers(self, session_id: str, number: int) -> bytes:
        """Empty where nothing is kept."""
        value = await self._vault.get(session_id, _KIND, str(number))
        return b"" if value is None else _read(value)[1]

    async def _all(self, session_id: str) -> list[tuple[Ran, bytes]]:
        values = (await self._vault.all(session_id, _KIND)).values()
        return sorted(map(_read, values), key=lambda entry: entry[0].number)

    async def leave(self, session_id: str, after: int) -> None:
        """What came after this cell leads nowhere any more."""
        for ran in await self.all(session_id):
            if ran.number > after:
                await self._vault.delete(session_id, _KIND, str(ran.number))


def _written(ran: Ran, answers: bytes) -> bytes:
    values: list[Any] = [ran.number, ran.cell_id, ran.status, ran.timeout_seconds]
    return json.dumps([values, base64.b64encode(answers).decode()]).encode()


def _read(value: bytes) -> tuple[Ran, bytes]:
    values, answers = json.loads(value)
    return Ran(*values), base64.b64decode(answers)
