"""Lives of the inner door, each a process of its own: the real broker, records and upstream client, until it is killed.

Reads a JSON list per line, of {"folder", "url", "operation", "what", "moment"}. A child makes the one call of the one
request of each in turn; printed is what it replied, as far as it lived to, and the signal that ended it, or 0.
"""

import asyncio
import json
import os
import signal
import ssl
import sys
import tempfile
import time
from pathlib import Path

from catalog import Catalog
from kernel_ext.wire import Kind, Message
from kernel_gateway.audit.redact import Redactor
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Account, Broker, Cell
from kernel_gateway.handles import Handles
from kernel_gateway.limits.effects import Effects
from kernel_gateway.limits.idempotency import Origin
from kernel_gateway.limits.meter import Meter
from kernel_gateway.limits.rates import Rates
from kernel_gateway.limits.settings import MEMORY, LimitSettings
from kernel_gateway.policy.authorizer import baseline_authorizer
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from kernel_gateway.store.vault import Vault
from kernel_gateway.upstreams.http import connect
from kernel_gateway.upstreams.settings import UpstreamSettings
from tests.broker.counting import DOCUMENT

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading them takes longer than a life does
CATALOG = Catalog.from_openapi(DOCUMENT, "counting")


class Dying:
    """Stands before a part of the gateway and ends the process before or after one of its methods."""

    def __init__(self, inner, names, moment):
        self._inner, self._names, self._moment = inner, names, moment

    def __getattr__(self, name):
        method = getattr(self._inner, name)
        if name not in self._names:
            return method

        async def dying(*arguments, **options):
            reached(f"before {self._names[name]}", self._moment)
            result = await method(*arguments, **options)
            reached(f"after {self._names[name]}", self._moment)
            return result

        return dying


def reached(name, moment):
    if name == moment:
        os.kill(os.getpid(), signal.SIGKILL)


class Unheard:
    def record(self, event):
        """Events are another test's matter."""


async def live(folder, url, operation, what, moment):
    keys, database, redactor = Keys(folder), Database(folder / "gateway.db"), Redactor(())
    effects = Effects(database, Vault(database, keys), time.time, 600.0)
    await effects.recover(alive={"s1"})  # as it will be once sessions survive
    upstream = connect(
        "counting",
        UpstreamSettings(base_url=f"{url}/{os.getpid()}/{moment.replace(' ', '%20')}"),
        sign=lambda *_: "word",
        redactor=redactor,
        clock=time.time,
        verify=NO_AUTHORITIES,
    )
    limits = LimitSettings()
    broker = Broker(
        CATALOG,
        baseline_authorizer(CATALOG, 20, 100),
        {"counting": Dying(upstream, {"call": "the upstream's call"}, moment)},
        Handles(time.time, lambda size: os.urandom(size).hex()),
        Unheard(),
        redactor,
        limits,
        Meter(limits, Rates(limits.rates, MEMORY, time.time), None),
        keys.secret("idempotency"),
        time.time,
        effects=Dying(
            effects, {"begin": "the write-ahead", "sent": "`sent`", "answered": "the answer's record"}, moment
        ),
    )
    scopes = frozenset({"counts.write"})
    principal = Principal("https://i.test", "acme", "ada", "agent", "dev", scopes, time.time() + 600)
    cell = Cell(principal, "s1", 1, f"cell-{os.getpid()}", Origin.of_request("s1", 0, "the code", "request-1"))
    head = {"operation": f"counting:{operation}", "arguments": {"what": what}}
    reply = await broker.answer(Message(Kind.CALL, 1, head), Account("s1", "acme"), cell)
    reached("before the reply", moment)
    if moment == "it answered":
        signal.pause()  # whoever answered is about to kill this process, at some instant since
    shown = {"replayed": cell.records[0].replayed, **(reply.head if reply.kind is Kind.ERROR else reply.head["value"])}
    await upstream.close()
    await database.close()
    return json.dumps(shown)


def in_a_child(orders):
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        for order in orders:
            os.write(writing, asyncio.run(live(**order | {"folder": Path(order["folder"])})).encode() + b"\n")
            reached("after the reply", order["moment"])
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as replies:
        replied = [json.loads(line) for line in replies]
    return {"replies": replied, "signal": -os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:  # what is imported late is imported now, not in every life
        asyncio.run(live(Path(folder), "http://127.0.0.1:9", "keyed", "", "never"))
    for line in sys.stdin:
        print(json.dumps(in_a_child(json.loads(line))), flush=True)
