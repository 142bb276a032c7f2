"""The commands about the gateway's own keys, beside a service that does not run."""

import argparse

from kernel_gateway.settings import Settings
from kernel_gateway.store import rotation


async def rotate(settings: Settings, options: argparse.Namespace) -> int:
    """Nothing that is stored is lost; only copies of the data from before need a copy of the key from before."""
    count = await rotation.rotate(settings.store)
    print(f"{count} keys are wrapped by a new one; the old one is gone")
    return 0
