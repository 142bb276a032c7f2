"""One life of the whole gateway: runs the cells it is given, one JSON line of outcome each, until it is killed.

Reads one JSON object: {"folder", "image", "specs", "url", "moment", "cells": [[request id, code], ...]}.
"""

import asyncio
import json
import os
import sys
import time

from kernel_gateway.app import running
from kernel_gateway.auth.principal import Principal
from kernel_gateway.sessions.result import ExecuteRequest
from kernel_gateway.settings import Settings

SCOPES = frozenset({"kernel.execute", "kernel.read", "counts.write"})


async def live(folder, image, specs, url, moment, cells):
    settings = Settings.of(
        {
            "sandbox": {"image": image},
            "store": {"folder": folder},
            "kernels": {"preload": [], "pool": {"ready": 0}},
            "catalog": {"specs": specs, "reviewed": f"{specs}/reviewed.toml"},
            "upstreams": {"counting": {"base_url": f"{url}/{os.getpid()}/{moment.replace(' ', '%20')}"}},
        }
    )
    principal = Principal("https://i.test", "acme", "ada", "agent", "dev", SCOPES, time.time() + 600)
    async with running(settings) as app:
        for request_id, code in cells:
            result = await app.gateway.execute(principal, ExecuteRequest(code=code, request_id=request_id))
            error = result.error.evalue if result.error else ""
            shown = {"result": result.result, "error": error, "replayed": [each.replayed for each in result.calls]}
            print(json.dumps(shown), flush=True)


if __name__ == "__main__":
    asyncio.run(live(**json.loads(sys.stdin.readline())))
