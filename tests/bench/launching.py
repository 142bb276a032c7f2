"""Kernels straight from the launcher: the product's own sockets, launch and claim, and a plain Jupyter client on shell.

A process of its own in the product's environment, without a gateway beside it on the same loop.
"""

import asyncio
import json
import os
import resource
import signal
import socket
import sys
import time

import zmq
import zmq.asyncio
from jupyter_client.session import Session

from kernel_ext.wire import Decoder, Kind, Limits, Message, encode
from kernel_gateway.kernels.launchers import KernelProcess
from kernel_gateway.kernels.sockets import KernelSockets
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.settings import Settings
from tests.bench.environments import BUILD
from tests.bench.measurement import since

_READ_BYTES = 64 * 1024
_MANIFEST = {"version": 1, "servers": {}}


class Channel:
    """The gateway's end of the sixth channel, as far as a start needs it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock, self._decoder = sock, Decoder(Limits(), frozenset({Kind.READY, Kind.CLAIMED}))

    async def said(self, kind: Kind) -> None:
        """Until the kernel says `kind`."""
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self._sock, _READ_BYTES):
            if any(message.kind is kind for message in self._decoder.feed(data)):
                return
        raise RuntimeError(f"the kernel ended before it said {kind.name}")

    async def claim(self, key: str) -> None:
        head = {"key": key, "manifest": _MANIFEST, "execution_count": 1}
        for frame in encode(Message(Kind.CLAIM, 0, head)):
            await asyncio.get_running_loop().sock_sendall(self._sock, frame)
        await self.said(Kind.CLAIMED)


class Live:
    """A kernel that has answered."""

    def __init__(self, process: KernelProcess, sockets: KernelSockets, shell: zmq.asyncio.Socket) -> None:
        self._process, self._sockets, self._shell = process, sockets, shell

    async def stop(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()
        self._shell.close(linger=0)
        self._sockets.close()


class Launching:
    def __init__(self) -> None:
        self._launcher = kernel_launcher(Settings.of({"sandbox": {"image": str(BUILD / "kernel")}}))
        self._context = zmq.asyncio.Context()

    async def start(self) -> float:
        """Milliseconds from the request to the reply of kernel_info."""
        started = time.perf_counter()
        kernel = await self._answering()
        taken = since(started)
        await kernel.stop()
        return taken

    async def burst(self, count: int) -> float:
        """Seconds until that many kernels, asked for at once, live and have answered."""
        started = time.perf_counter()
        kernels = await asyncio.gather(*(self._answering() for _ in range(count)))
        taken = since(started) / 1000
        await asyncio.gather(*(kernel.stop() for kernel in kernels))
        return taken

    async def _answering(self) -> Live:
        sockets = KernelSockets.open()
        process = await self._launcher.launch(sockets.fds())
        sockets.release()
        channel, key = Channel(sockets.channel), os.urandom(32).hex()
        await channel.said(Kind.READY)
        await channel.claim(key)
        shell = self._context.socket(zmq.DEALER)
        shell.connect(f"ipc://{sockets.path('shell')}")
        session = Session(key=key.encode())
        session.send(shell, session.msg("kernel_info_request"))
        _, frames = session.feed_identities(await shell.recv_multipart())
        answer = session.deserialize(frames)
        assert answer["msg_type"] == "kernel_info_reply", answer["msg_type"]
        return Live(process, sockets, shell)

    async def close(self) -> None:
        self._context.destroy(linger=0)
        await self._launcher.close()


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a hundred kernels that start hold ten sockets each
    with asyncio.Runner() as runner:
        launching = Launching()
        for line in sys.stdin:
            question = json.loads(line)
            answer = runner.run(getattr(launching, question.pop("do"))(**question))
            print(json.dumps(answer), flush=True)
        runner.run(launching.close())


if __name__ == "__main__":
    main()
