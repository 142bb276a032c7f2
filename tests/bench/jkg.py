"""jupyter-kernel-gateway, asked over its own HTTP and WebSocket. Runs in its environment; imports nothing of ours.

The server is a process of its own and as its users get it: its defaults, no token, no tuning. The client is Tornado's.
"""

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from tornado.httpclient import AsyncHTTPClient, HTTPError
from tornado.websocket import websocket_connect

START_SECONDS = 30.0
POLL_SECONDS = 0.05


class Peer:
    """One kernel at a time."""

    def serve(self, folder):
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [Path(sys.executable).with_name("jupyter-kernelgateway"), "--KernelGatewayApp.ip=127.0.0.1"]
        command += [f"--KernelGatewayApp.port={port}", "--Application.log_level=ERROR"]
        self.log = Path(folder) / "server.log"
        with self.log.open("wb") as log:
            self.server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)

    def close(self):
        self.server.terminate()
        self.server.wait()

    async def ready(self):
        """Until the server answers."""
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                await AsyncHTTPClient().fetch(f"{self.url}/api")
                return
            except (OSError, HTTPError):
                assert self.server.poll() is None, f"jupyter-kernel-gateway ended at its start: {self.log.read_text()}"
                assert time.monotonic() < give_up, f"jupyter-kernel-gateway does not answer: {self.log.read_text()}"
                await asyncio.sleep(POLL_SECONDS)

    async def start(self, code):
        """Milliseconds from nothing to the result of the first cell."""
        started = time.perf_counter()
        answer = await AsyncHTTPClient().fetch(f"{self.url}/api/kernels", method="POST", body="{}")
        self.kernel = json.loads(answer.body)["id"]
        self.socket = await websocket_connect(f"{self.url.replace('http', 'ws', 1)}/api/kernels/{self.kernel}/channels")
        await self._run(code)
        return (time.perf_counter() - started) * 1000

    async def cell(self, code):
        """Milliseconds from the request to the reply and the idle message, whichever is later."""
        started = time.perf_counter()
        await self._run(code)
        return (time.perf_counter() - started) * 1000

    async def stop(self):
        self.socket.close()
        await AsyncHTTPClient().fetch(f"{self.url}/api/kernels/{self.kernel}", method="DELETE")

    async def _run(self, code):
        id_ = uuid.uuid4().hex
        header = {"msg_id": id_, "msg_type": "execute_request", "username": "", "session": "bench", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        await self.socket.write_message(json.dumps(message))
        replied = idle = False
        while not (replied and idle):
            answer = json.loads(await self.socket.read_message())
            if answer["parent_header"].get("msg_id") != id_:
                continue
            if answer["msg_type"] == "execute_reply":
                assert answer["content"]["status"] == "ok", answer["content"]
                replied = True
            idle |= answer["content"].get("execution_state") == "idle"


def _free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def main():
    peer = Peer()
    with tempfile.TemporaryDirectory(prefix="jkg-") as folder, asyncio.Runner() as runner:
        peer.serve(folder)
        try:
            runner.run(peer.ready())
            for line in sys.stdin:
                question = json.loads(line)
                answer = runner.run(getattr(peer, question.pop("do"))(**question))
                print(json.dumps(answer), flush=True)
        finally:
            peer.close()


if __name__ == "__main__":
    main()
