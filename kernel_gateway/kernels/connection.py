"""Speaks the Jupyter messaging protocol with one kernel: runs a cell, gathers its outputs, interrupts it.

A kernel's messages are claims: cell code knows the kernel's key and can forge any of them. What is decided here
(timing, counts, when the turn ends) uses the gateway's own clock and ids; sizes are checked on raw frames first.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.session import Session
from zmq.utils.monitor import recv_monitor_message

from kernel_gateway.kernels.outputs import Outputs
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.kernels.sockets import KernelSockets

_SOCKET_TYPES = {"shell": zmq.DEALER, "iopub": zmq.SUB, "control": zmq.DEALER}
_SMALL_BYTES = 4096  # a status message is about 600 bytes: these are read even when output is being dropped
_PARENT = 2  # of a message's parts: signature, header, parent header, metadata, content


@dataclass(frozen=True, slots=True)
class Reply:
    """How the kernel says the cell ended: ok or error. A claim."""

    status: str


class Connection:
    """Our sockets to one kernel.

    `lost` resolves when the kernel's end is gone or broke the protocol, `began` when the latest cell has begun to run.
    """

    def __init__(
        self, sockets: KernelSockets, session: Session, settings: KernelSettings, context: zmq.asyncio.Context
    ) -> None:
        self._session, self._settings = session, settings
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._sockets = {name: self._open(context, name, sockets.endpoint(name)) for name in _SOCKET_TYPES}
        self._monitored = {
            name: self._sockets[name].get_monitor_socket(zmq.EVENT_DISCONNECTED) for name in ("shell", "iopub")
        }
        self._monitors = [asyncio.create_task(self._watch(name)) for name in self._monitored]
        self._pace = Pace(settings.max_messages_per_second)
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _open(self, context: zmq.asyncio.Context, name: str, endpoint: str) -> zmq.asyncio.Socket:
        sock = context.socket(_SOCKET_TYPES[name])
        sock.linger = 0
        sock.setsockopt(zmq.MAXMSGSIZE, self._settings.max_message_bytes)
        sock.setsockopt(zmq.RCVHWM, self._settings.max_queued_messages)
        sock.connect(endpoint)
        if name == "iopub":
            sock.setsockopt(zmq.SUBSCRIBE, b"")
        return sock

    async def welcomed(self) -> None:
        """Until the kernel has seen our subscription: an earlier cell could lose its idle message."""
        while True:
            message = self._parse(await self._sockets["iopub"].recv_multipart())
            if message is not None and message["msg_type"] == "iopub_welcome":
                return

    async def run(self, code: str, outputs: Outputs) -> Reply:
        """Runs `code` to its end. The caller bounds the time, and interrupts."""
        await self._drain()
        message = self._session.msg(
            "execute_request",
            {
                "code": code,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": False,
                "stop_on_error": True,
            },
        )
        id_ = message["header"]["msg_id"]
        self.began = asyncio.get_running_loop().create_future()
        idle = asyncio.create_task(self._gather(id_, outputs))
        try:
            self._session.send(self._sockets["shell"], message)
            reply = await self._reply(id_, outputs)
            _, late = await asyncio.wait({idle}, timeout=self._settings.idle_grace_seconds)
            outputs.truncated |= bool(late)
            return reply
        finally:
            idle.cancel()

    def interrupt(self) -> None:
        self._session.send(self._sockets["control"], self._session.msg("interrupt_request"))

    def close(self) -> None:
        for task in self._monitors:
            task.cancel()
        for name, sock in self._sockets.items():
            if name in self._monitored:
                sock.disable_monitor()
                self._monitored[name].close(linger=0)
            sock.close(linger=0)
        if not self.lost.done():
            self.lost.cancel()

    async def _reply(self, id_: str, outputs: Outputs) -> Reply:
        while True:
            message = await self._receive("shell", id_, self._settings.max_reply_bytes)
            if message is None or message["msg_type"] != "execute_reply":
                continue
            content = message["content"]
            payload = content.get("payload")
            for page in payload if isinstance(payload, list) else ():  # what `name?` answers
                if isinstance(page, dict) and page.get("source") == "page":
                    outputs.take("display_data", page)
            # `aborted` cannot be true of the only cell that was sent
            return Reply("ok" if content.get("status") == "ok" else "error")

    async def _gather(self, id_: str, outputs: Outputs) -> None:
        """Every message is charged by its raw size, whoever it claims to answer, before any of it is parsed."""
        room, count = self._settings.max_output_bytes, self._settings.max_output_messages
        while True:
            frames = await self._sockets["iopub"].recv_multipart()
            await asyncio.sleep(0)  # frames that wait already would otherwise keep the loop to themselves
            room, count = room - sum(map(len, frames)), count - 1
            over = room < 0 or count < 0 or not self._pace.allows(time.monotonic())
            message = None if over and not _may_be_status(frames) else self._parse(frames, id_)
            if message is None:
                outputs.dropped_messages += over
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "execute_input" and not self.began.done():
                self.began.set_result(None)
            if kind == "status":
                if content.get("execution_state") == "idle":
                    return
            elif over:
                outputs.dropped_messages += 1
            else:
                outputs.take(kind, content)

    async def _drain(self) -> None:
        """Drops what earlier cells left behind, so that it neither fills queues nor counts against this cell."""
        for name in ("shell", "iopub"):
            while await self._sockets[name].poll(0):
                await self._sockets[name].recv_multipart()

    async def _receive(self, name: str, id_: str, max_bytes: int) -> dict[str, Any] | None:
        frames = await self._sockets[name].recv_multipart()
        await asyncio.sleep(0)
        return self._parse(frames, id_) if sum(map(len, frames)) <= max_bytes else None

    def _parse(self, frames: list[bytes], id_: str = "") -> dict[str, Any] | None:
        """The verified message that answers `id_`, or None: a kernel may send anything, in any shape and depth."""
        try:
            _, parts = self._session.feed_identities(frames)
            parent = parts[_PARENT]
            assert isinstance(parent, bytes)
            if id_ and (len(parent) > _SMALL_BYTES or id_.encode() not in parent):
                return None  # seen from the raw parent header: what is not for us is never unpacked
            message = self._session.deserialize(parts)
        except (ValueError, TypeError, KeyError, IndexError, RecursionError, AttributeError):
            return None
        answers, content = message.get("parent_header"), message.get("content")
        if not isinstance(answers, dict) or not isinstance(content, dict):
            return None
        return message if not id_ or answers.get("msg_id") == id_ else None

    async def _watch(self, name: str) -> None:
        """libzmq drops a peer for good when a message is longer than allowed: that kernel cannot be heard again."""
        await recv_monitor_message(self._monitored[name])
        if not self.lost.done():
            self.lost.set_result(f"its {name} connection ended (a message may have been too long)")


class Pace:
    """Counts events per second of the given clock."""

    def __init__(self, per_second: int) -> None:
        self._per_second, self._second, self._count = per_second, 0, 0

    def allows(self, now: float) -> bool:
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        return self._count <= self._per_second


def _may_be_status(frames: list[bytes]) -> bool:
    """Cheap and inexact: what is over the caps is parsed only where it could say that the cell is idle."""
    return sum(map(len, frames)) <= _SMALL_BYTES and any(b'"idle"' in frame for frame in frames)
