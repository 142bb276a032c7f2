"""Cells that do not want to end, by kind, and the upstream that some of them wait for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import tornado.web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

BEGIN = "image_ops.quota_get()  # the upstream sees that the cell runs\n"
JOB = "job_8sVnQe3PzU5wKd0jXy6fGg"
UPLOAD = "upl_2Zq0Xw7mT4eYc9LhRk1vBA"
KINDS = {
    "a tight loop": "while True: pass",
    "a long C call": "sum(range(10**15))",
    "a C call that holds the interpreter": "import ctypes\nctypes.PyDLL(None).sleep(600)",
    "sleep": "import time\ntime.sleep(600)",
    "ignored signals": """\
import signal, time
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, signal.SIG_IGN)
while True:
    try: time.sleep(0.1)
    except BaseException: pass""",
    "a call in flight": f"image_ops.jobs_get(id={JOB!r}, wait=20)",
    "a change in flight": f"""\
image_ops.jobs_create(upload_id={UPLOAD!r}, operations=[{{"op": "strip_metadata"}}])""",
    "a paused approval": """image_ops.uploads_init(filename="a.png", content_type="image/png", size_bytes=8)""",
    "a thread that outlives its cell's interrupt": """\
import threading, time
busy = threading.Thread(target=lambda: [None for _ in iter(int, 1)])
busy.start()
busy.join()""",
}
WAITING = ("a call in flight", "a change in flight")
CHANGING = "a change in flight"
PAUSED = "a paused approval"
# What makes it one: nobody is asked about the cell, and somebody about its call.
ASKS = """@id("asks") @code("approval_required") @approver("user") @reason("an upload is asked about")
forbid (principal, action, resource == Kernel::Operation::"image_ops:uploads_init") unless { context.approved };
"""

_QUOTA = {
    "org": "acme",
    "policies": [
        {"name": name, "unit": unit, "limit": 1000, "remaining": 988, "window_seconds": 60, "resets_at": None}
        for name, unit in (("requests", "requests"), ("bytes", "content-bytes"), ("images", "images"))
    ],
}
_JOB = {
    "job_id": JOB,
    "upload_id": UPLOAD,
    "status": "queued",
    "progress": 0,
    "created_at": "2026-11-21T10:00:05Z",
    "started_at": None,
    "finished_at": None,
    "expires_at": "2026-11-21T11:00:05Z",
    "results": [],
}


def stubborn(count: int) -> list[tuple[str, str]]:
    """So many cells, of every kind in turn: (kind, code)."""
    kinds = list(KINDS.items())
    return [(kind, BEGIN + code) for kind, code in (kinds[number % len(kinds)] for number in range(count))]


class SlowUpstream:
    """Answers a question about the quota at once, and everything about jobs once it is `released`."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.released = asyncio.Event()
        self.begun, self.waiting, self.created, self.uploads = 0, 0, 0, 0

    @property
    def settings(self) -> dict[str, object]:
        """For `upstreams.image_ops`."""
        return {"base_url": self.url, "max_connections": 100}


@asynccontextmanager
async def slow_upstream() -> AsyncIterator[SlowUpstream]:
    sockets = bind_sockets(0, "127.0.0.1")
    upstream = SlowUpstream(sockets[0].getsockname()[1])

    class Quota(tornado.web.RequestHandler):
        def get(self) -> None:
            upstream.begun += 1
            self.write(_QUOTA)

    class Jobs(tornado.web.RequestHandler):
        async def get(self, *_: str) -> None:
            upstream.waiting += 1
            await upstream.released.wait()
            self.write(_JOB)

        async def post(self) -> None:
            await self.get()
            upstream.created += 1
            self.set_status(202)

    class Uploads(tornado.web.RequestHandler):
        def post(self) -> None:
            upstream.uploads += 1

    routes = [("/api/quota", Quota), ("/api/uploads.*", Uploads), ("/api/jobs", Jobs), ("/api/jobs/(.*)", Jobs)]
    server = HTTPServer(tornado.web.Application(routes, log_function=lambda _: None))
    server.add_sockets(sockets)
    try:
        yield upstream
    finally:
        upstream.released.set()
        server.stop()
        await server.close_all_connections()
