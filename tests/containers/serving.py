"""A service as a host runs it, for rehearsals of the runbooks: `python serving.py PORT`, until SIGTERM."""

import asyncio
import sys
import warnings

from kernel_gateway import commands
from kernel_gateway.app import running
from kernel_gateway.config import environment, load
from kernel_gateway.embedded import embedded_world
from kernel_gateway.frontends.listener import bind
from kernel_gateway.settings import Settings


async def serve(port):
    settings = Settings.of(load(None, environment(), {}))
    async with (
        embedded_world(settings) as (_, settings),
        running(settings, embedded=True) as app,
        app.serving(bind("127.0.0.1", port)),
    ):
        print("serving", flush=True)
        await commands._until_stopped()


warnings.simplefilter("ignore")
asyncio.run(serve(int(sys.argv[1])))
