"""Where approvals are kept: what they are about in the encrypted vault alone, and which ids were used in a table.

The table holds ids and times: without the vault's key it says that somebody asked, and nothing else. In the vault each
approval has a key of its own, which goes with it: the session may end before or after.
"""

from collections.abc import Callable

from sqlalchemy import Boolean, Column, Connection, Float, MetaData, String, Table, delete, insert, select

from kernel_gateway.approvals.pending import Pending, read, written
from kernel_gateway.store.database import Database
from kernel_gateway.store.vault import Vault

_KIND = "approval"
_metadata = MetaData()
_approvals = Table(
    "approvals",
    _metadata,
    Column("id", String(64), primary_key=True),
    Column("expires_at", Float, nullable=False, index=True),
    Column("spent", Boolean, nullable=False),
)
_agents = Table(
    "approval_agents",
    _metadata,
    Column("organisation", String(256), primary_key=True),
    Column("client", String(256), primary_key=True),
)


class Shelf:
    """`are_elsewhere(session_id)` says whether it is another gateway's, which lives: what waits there is not ours."""

    def __init__(
        self, database: Database, vault: Vault, are_elsewhere: Callable[[str], bool] = lambda session_id: False
    ) -> None:
        self._database, self._vault, self._are_elsewhere = database, vault, are_elsewhere

    def __repr__(self) -> str:
        return f"<Shelf in {self._database!r}>"

    async def load(self) -> tuple[list[Pending], set[tuple[str, str]]]:
        """What an earlier process left waiting, oldest first, and the clients that have opened sessions."""

        def rows(connection: Connection) -> tuple[list[str], set[tuple[str, str]]]:
            _metadata.create_all(connection)
            where = _approvals.c.spent.is_(False)
            waiting = connection.execute(select(_approvals.c.id).where(where).order_by(_approvals.c.expires_at))
            agents = connection.execute(select(_agents.c.organisation, _agents.c.client))
            return list(waiting.scalars()), {(each[0], each[1]) for each in agents}

        waiting, agents = await self._database.run(rows)
        contents = [await self._vault.get(id_, _KIND, id_) for id_ in waiting]
        pending = [read(content) for content in contents if content is not None]
        return [each for each in pending if not self._are_elsewhere(each.terms.session)], agents

    async def put(self, pending: Pending) -> None:
        await self._vault.put(pending.id, _KIND, pending.id, written(pending))

        def row(connection: Connection) -> None:
            is_there = select(_approvals.c.id).where(_approvals.c.id == pending.id)
            if connection.execute(is_there).scalar() is None:  # its row says for good whether it was used
                connection.execute(insert(_approvals).values(id=pending.id, expires_at=pending.expires_at, spent=False))

        await self._database.run(row)

    async def remove(self, pending: Pending) -> None:
        await self._vault.delete_session(pending.id)
        await self._database.run(
            lambda connection: connection.execute(
                delete(_approvals).where(_approvals.c.id == pending.id, _approvals.c.spent.is_(False))
            )
        )

    async def spend(self, id_: str, expires_at: float, now: float) -> bool:
        """True for the first who asks, once, also after a restart. Forgets what has expired: that is refused anyway."""

        def once(connection: Connection) -> bool:
            connection.execute(delete(_approvals).where(_approvals.c.expires_at < now, _approvals.c.id != id_))
            spent = connection.execute(select(_approvals.c.spent).where(_approvals.c.id == id_)).scalar()
            if spent:
                return False
            connection.execute(delete(_approvals).where(_approvals.c.id == id_))
            connection.execute(insert(_approvals).values(id=id_, expires_at=expires_at, spent=True))
            return True

        return await self._database.run(once)

    async def is_spent(self, id_: str) -> bool:
        statement = select(_approvals.c.spent).where(_approvals.c.id == id_)
        return bool(await self._database.run(lambda connection: connection.execute(statement).scalar()))

    async def is_agent(self, organisation: str, client: str) -> bool:
        row = select(_agents.c.client).where(_agents.c.organisation == organisation, _agents.c.client == client)
        return await self._database.run(lambda connection: connection.execute(row).first() is not None)

    async def add_agent(self, organisation: str, client: str) -> None:
        def add(connection: Connection) -> None:
            connection.execute(
                delete(_agents).where(_agents.c.organisation == organisation, _agents.c.client == client)
            )
            connection.execute(insert(_agents).values(organisation=organisation, client=client))

        await self._database.run(add)
