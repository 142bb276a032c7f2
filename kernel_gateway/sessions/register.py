"""The sessions that there are, whichever gateway runs: each in the encrypted vault, under its own key."""

from collections.abc import Callable

from kernel_gateway.sessions.life import Life
from kernel_gateway.store.vault import Vault, Write

_KIND, _NAME = "session", "life"


class Register:
    """`are_elsewhere(session_id)` says whether it is another gateway's, which lives."""

    def __init__(self, vault: Vault, are_elsewhere: Callable[[str], bool] = lambda session_id: False) -> None:
        self._vault, self.are_elsewhere = vault, are_elsewhere

    def __repr__(self) -> str:
        return f"<Register in {self._vault!r}>"

    async def ids(self) -> list[str]:
        return [each for each in await self._vault.holders(_KIND) if not self.are_elsewhere(each)]

    async def all(self) -> dict[str, Life]:
        """Those that nobody else has, by id, in the order of their opening."""
        found = {}
        for session_id in await self.ids():
            raw = await self._vault.get(session_id, _KIND, _NAME)
            if raw is not None:
                found[session_id] = Life.read(raw)
        return dict(sorted(found.items(), key=lambda each: each[1].opened_at))

    async def put(self, session_id: str, life: Life) -> None:
        await self._vault.put(session_id, _KIND, _NAME, life.text())

    def sealed(self, session_id: str, life: Life) -> Write:
        """What does as `put`, inside a transaction of somebody else's."""
        return self._vault.sealed(session_id, _KIND, _NAME, life.text())

    async def remove(self, session_id: str) -> None:
        """With everything else that the vault holds of it."""
        await self._vault.delete_session(session_id)
