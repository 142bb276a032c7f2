"""How a kernel begins to serve: its channel first, so that it fails closed; then its sockets; then whoever claims it.

A fresh process is started with one argument, JSON: {"sockets": {"shell": fd, "iopub": fd, "stdin": fd, "hb": fd,
"control": fd}, "channel": fd, "memory": fd, "plan": what `confine.give_up` takes}.
"""

import json
import os
import platform
import socket
import sys
from collections.abc import Mapping
from typing import Any

from tornado.ioloop import IOLoop

import kernel_ext
from kernel_ext.app import AgentKernelApp, prepared
from kernel_ext.channel import Channel, attach
from kernel_ext.confine import give_up
from kernel_ext.keeping import Keeper
from kernel_ext.wire import Kind, Message

_SWITCH_SECONDS = 0.0001  # Python's 5 ms would let every start of a thread wait for that long


def serve(app: AgentKernelApp, sockets: Mapping[str, int], channel_fd: int, memory_fd: int) -> None:
    """Until the kernel ends."""

    def on_message(message: Message) -> None:
        if message.kind is Kind.CLAIM:
            _claim(app, message.head)
            channel.send(Message(Kind.CLAIMED, message.id))
        elif app.kernel.keeper is not None:
            app.kernel.keeper.on_message(message)

    channel = Channel(socket.socket(fileno=channel_fd), on_message, on_closed=lambda: os._exit(0))
    attach(channel)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    app.take_over(sockets)
    app.kernel.keeper = Keeper(app.kernel.shell, channel, IOLoop.current(), memory_fd)
    channel.start()
    app.rest_with(channel.stop)
    sys.setswitchinterval(usual)
    leave_standard_streams()
    channel.send(Message(Kind.READY, 0, {"python": platform.python_version(), "pid": os.getpid()}))
    app.start()


def _claim(app: AgentKernelApp, head: Mapping[str, Any]) -> None:
    """Gives the kernel its identity: the session's message key, its client and its place in the session's count."""
    app.session.key = head["key"].encode()
    kernel_ext.install(head["manifest"])
    app.kernel.shell.execution_count = head["execution_count"]


def leave_standard_streams() -> None:
    """Until here they told the host why a kernel does not start; nothing that a cell writes belongs in its log."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)


def main() -> None:
    """A fresh process, confined before it does anything."""
    spec = json.loads(sys.argv[1])
    give_up(spec["plan"])
    serve(prepared(), spec["sockets"], spec["channel"], spec["memory"])


if __name__ == "__main__":
    main()
