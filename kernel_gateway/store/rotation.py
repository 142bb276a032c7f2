"""A new installation's key in the place of the one that wraps keys, without a moment at which either opens nothing.

First the next key is made, then one transaction wraps every stored key by it, then it takes the other's place. While
both are there, both are tried (wrapping.py): a death between the steps costs nothing, and the next try goes on.
"""

from pathlib import Path

from sqlalchemy import Connection

from kernel_gateway.errors import ConfigError
from kernel_gateway.store.checkpoints import Checkpoints
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from kernel_gateway.store.settings import StoreSettings
from kernel_gateway.store.vault import Vault
from kernel_gateway.store.wrapping import KEY, NEXT_KEY


async def rotate(store: StoreSettings) -> int:
    """How many keys it wrapped. Raises ConfigError, also where a gateway runs on the keys."""
    if isinstance(store.database, Path) and not store.database.exists():
        raise ConfigError(f"there is no database at `{store.database}`; name the service's folder in `store.folder`")
    keys = Keys(store.keys)
    with keys.held(alone=True):
        database = Database(store.database, busy_timeout_seconds=store.busy_timeout_seconds)
        vault, checkpoints = Vault(database, keys), Checkpoints(database, keys, store.chunks)

        def work(connection: Connection) -> int:
            keys.secret(NEXT_KEY)
            return vault.rewrap(connection) + checkpoints.rewrap(connection)

        try:
            count = await database.run(work)
            await database.forget(patient=True)
            keys.replace(KEY, by=NEXT_KEY)
        finally:
            await checkpoints.close()
            await database.close()
    return count
