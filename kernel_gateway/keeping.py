"""Puts together what sessions are kept with."""

from collections.abc import Callable
from functools import partial

from kernel_gateway.audit.journal import Journal
from kernel_gateway.sessions.durable import Durable, anchor
from kernel_gateway.sessions.register import Register
from kernel_gateway.sessions.sources import Sources
from kernel_gateway.sessions.trail import Trail
from kernel_gateway.settings import Settings
from kernel_gateway.store.checkpoints import Checkpoints
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from kernel_gateway.store.vault import Vault


def kept(
    settings: Settings,
    database: Database,
    keys: Keys,
    vault: Vault,
    register: Register,
    sources: Sources,
    journal: Journal,
    image: Callable[[], str],
    catalog: str,
) -> Durable:
    """`image()` names what kernels are made of, `catalog` what they may call. Its `checkpoints` are the caller's to
    close."""
    store = settings.store
    checkpoints = Checkpoints(
        database, keys, store.chunks, store.checkpoints, survives_power_loss=store.survives_power_loss
    )
    return Durable(
        checkpoints,
        register,
        sources,
        Trail(vault),
        anchor=partial(anchor, journal),
        image=image,
        catalog=catalog,
        settings=settings.sessions,
    )
