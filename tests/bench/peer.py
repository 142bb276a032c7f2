"""Plain ipykernel driven by plain jupyter_client, over ipc. Runs in the peer's environment; imports nothing of ours.

It is as fast as its parts allow: no `wait_for_ready` (which listens 0.2 s for stray output), no `execute_interactive`.
"""

import asyncio
import contextlib
import json
import queue
import sys
import tempfile
import time
from pathlib import Path
from subprocess import DEVNULL

from jupyter_client.manager import AsyncKernelManager

ASK_THE_CLIENT = """\
import json, time
times = []
for _ in range({count}):
    started = time.perf_counter()
    input()
    times.append((time.perf_counter() - started) * 1000)
print(json.dumps(times))
"""


class Peer:
    """One kernel at a time."""

    async def start(self, code):
        """Milliseconds from nothing to the reply of the first cell."""
        started = await self._launch()
        await self._reply(self.client.execute(code))
        milliseconds = (time.perf_counter() - started) * 1000
        await self._subscribed()
        return milliseconds

    async def boot(self):
        """Milliseconds from nothing to the reply of kernel_info, by a kernel that is stopped again."""
        started = await self._launch()
        await self._reply(self.client.kernel_info())
        milliseconds = (time.perf_counter() - started) * 1000
        await self.stop()
        return milliseconds

    async def memory(self, cells):
        """MiB: the proportional set size of a kernel of its own that ran these cells."""
        await self.start(cells[0])
        for code in cells[1:]:
            await self.cell(code)
        rollup = Path(f"/proc/{self.manager.provisioner.pid}/smaps_rollup").read_text()
        await self.stop()
        return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024

    async def stop(self):
        self.client.stop_channels()
        await self.manager.shutdown_kernel(now=True)
        self.folder.cleanup()

    async def cell(self, code):
        """Milliseconds from the request to the reply and the idle message, whichever is later."""
        started = time.perf_counter()
        await self._finish(self.client.execute(code))
        return (time.perf_counter() - started) * 1000

    async def moments(self, code):
        """Milliseconds since the request, by what the kernel said in the headers of its messages."""
        moments = {}
        started, epoch = time.perf_counter(), time.time()

        def note(message):
            state = message["content"].get("execution_state", message["msg_type"])
            moments[state] = (message["header"]["date"].timestamp() - epoch) * 1000

        await self._finish(self.client.execute(code), note)
        return {**moments, "parsed": (time.perf_counter() - started) * 1000}

    async def calls(self, count):
        """Milliseconds of `input()` in a cell: the one way by which a plain kernel asks its client anything."""
        id_ = self.client.execute(ASK_THE_CLIENT.format(count=count))
        for _ in range(count):
            await self.client.get_stdin_msg()
            self.client.input("")
        return json.loads(await self._finish(id_))

    async def _launch(self):
        # Its sockets would otherwise lie where this process runs, and stay there: the manager's names differ from them.
        self.folder = tempfile.TemporaryDirectory(prefix="peer-")
        started = time.perf_counter()
        self.manager = AsyncKernelManager(transport="ipc", ip=f"{self.folder.name}/kernel")
        await self.manager.start_kernel(stdout=DEVNULL, stderr=DEVNULL)
        self.client = self.manager.client()
        self.client.start_channels(hb=False)
        return started

    async def _finish(self, id_, note=lambda message: None):
        """What the cell printed."""
        reply = await self._reply(id_)
        note(reply)
        assert reply["content"]["status"] == "ok", reply["content"]
        printed = ""
        while True:
            message = await self.client.get_iopub_msg()
            if message["parent_header"].get("msg_id") != id_:
                continue
            note(message)
            if message["msg_type"] == "stream":
                printed += message["content"]["text"]
            elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return printed

    async def _subscribed(self):
        """Until iopub messages arrive: those from before the subscription are lost, and with them an idle message."""
        while True:
            id_ = self.client.kernel_info()
            await self._reply(id_)
            with contextlib.suppress(queue.Empty):
                await self.client.get_iopub_msg(timeout=0.05)
                return

    async def _reply(self, id_):
        while True:
            message = await self.client.get_shell_msg()
            if message["parent_header"].get("msg_id") == id_:
                return message


def main():
    peer = Peer()
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            question = json.loads(line)
            answer = runner.run(getattr(peer, question.pop("do"))(**question))
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
