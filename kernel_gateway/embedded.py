"""The reference world in the gateway's own process, for `demo`, `mcp` and tests."""

import fcntl
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from kernel_gateway.auth.settings import IssuerSettings
from kernel_gateway.reference.world import World
from kernel_gateway.settings import Settings
from kernel_gateway.store.keys import Keys
from kernel_gateway.upstreams.settings import UpstreamSettings


def world_folder(settings: Settings) -> Path:
    """Of the first world in the state folder: the one that `kernel-gateway token` mints for."""
    return settings.store.folder / "world"


@contextmanager
def _own_world_folder(settings: Settings) -> Iterator[Path]:
    """A world belongs to one process: while another holds `world`, this one takes `world-2`, and so on."""
    first = world_folder(settings)
    for number in itertools.count(1):
        folder = first if number == 1 else first.with_name(f"{first.name}-{number}")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield folder
            return


@asynccontextmanager
async def embedded_world(settings: Settings) -> AsyncIterator[tuple[World, Settings]]:
    """The reference world in this process, and `settings` with it as issuer, upstream, stdio caller's rights."""
    keys = Keys(settings.store.keys)
    asker_key = keys.signing().public_key()
    with _own_world_folder(settings) as folder:
        world = World(folder, audience=settings.auth.audience, asker_key=asker_key)
        await world.start()
        try:
            yield world, _with_world(settings, world)
        finally:
            await world.stop()


def _with_world(settings: Settings, world: World) -> Settings:
    scopes = tuple(operation.scope for operation in world.catalog.operations)
    issuer = IssuerSettings(issuer=world.issuer_url, jwks_url=world.jwks_url)
    upstream = UpstreamSettings.model_validate(
        {
            "base_url": world.image_ops_url,
            "storage_hosts": (world.storage_host,),
            "token_url": world.token_url,
            "client_id": world.client_id,
            "client_secret": world.client_secret,
            "scopes": scopes,
            "allow_private_addresses": True,
        }
    )
    stdio = settings.auth.stdio
    stdio = stdio.model_copy(update={"scopes": (*stdio.scopes, *scopes)})
    auth = settings.auth.model_copy(update={"issuers": (*settings.auth.issuers, issuer), "stdio": stdio})
    upstreams = {"image_ops": upstream, **settings.upstreams}
    return settings.model_copy(update={"auth": auth, "upstreams": upstreams})
