"""Which events are on the disk before a reply goes out: the gateway is killed the moment it has one."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

from kernel_gateway.audit.seal import Seal
from kernel_gateway.audit.verify import verify
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from tests.conftest import IMAGE, LEAN

GATEWAY = """
import asyncio, json, os, signal, sys, warnings
from kernel_gateway.app import running
from kernel_gateway.embedded import embedded_world
from kernel_gateway.sessions.result import ExecuteRequest
from kernel_gateway.settings import Settings

CELL = '''
from kernel_ext import search_tools
data = b"not a picture, so the storage refuses it"
upload = image_ops.uploads_init(filename="a.png", content_type="image/png", size_bytes=len(data))
try:
    upload.upload_url.write(data)
except ToolError as error:
    search_tools("quota")
'''

async def main():
    warnings.simplefilter("ignore")
    async with embedded_world(Settings.of(json.loads(sys.argv[1]))) as (_, settings):
        async with running(settings, embedded=True) as app:
            me = app.stdio_principal()
            result = await app.gateway.execute(me, ExecuteRequest(CELL))
            if sys.argv[2] == "close":
                await app.gateway.close_session(me, result.session_id)
            os.write(1, result.status.encode())
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def killed_after_its_reply(tmp_path, last):
    """The kinds of its events, in order, as they lie on the disk."""
    folder = tmp_path / "state"
    settings = {
        "sandbox": {"image": str(IMAGE)},
        "store": {"folder": str(folder)},
        "kernels": LEAN,
        "audit": {"flush_interval_ms": 10_000},  # nothing is written in time but what a reply waits for
    }
    done = subprocess.run([sys.executable, "-c", GATEWAY, json.dumps(settings), last], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"ok"), done.stderr.decode()
    with closing(sqlite3.connect(folder / "data" / "gateway.db")) as connection:
        return folder, [kind for (kind,) in connection.execute("SELECT kind FROM events ORDER BY seq")]


async def test_whatever_a_cell_did_is_written_before_its_reply(tmp_path):
    folder, kinds = killed_after_its_reply(tmp_path, "execute")
    assert kinds == [
        *("session_opened", "operation_called", "blob_moved", "searched", "cell_ran"),
    ]
    database = Database(folder / "data" / "gateway.db", read_only=True)
    report = await database.run(lambda connection: verify(connection, Seal.of(Keys(folder))))
    await database.close()
    assert (report.fault, report.last) == (None, 5)


def test_the_end_of_a_session_is_written_before_it_is_confirmed(tmp_path):
    _, kinds = killed_after_its_reply(tmp_path, "close")
    assert kinds[-1] == "session_closed"
