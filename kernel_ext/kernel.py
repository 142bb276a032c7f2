"""Our kernel: takes over inherited sockets, waits for its identity, fails closed.

Started with one argument, JSON: {"sockets": {"shell": fd, "iopub": fd, "stdin": fd, "hb": fd, "control": fd},
"channel": fd, "limits": {...}, "filter": hex}.
"""

import json
import logging
import os
import platform
import secrets
import socket
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

sys.modules["debugpy"] = None  # type: ignore[assignment]  # before ipykernel: an agent's kernel has no debugger

import zmq
from ipykernel.control import ControlThread
from ipykernel.heartbeat import Heartbeat
from ipykernel.iostream import IOPubThread
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.shellchannel import ShellChannelThread
from traitlets import Dict, Float, Type
from traitlets.config import Config
from zmq.eventloop.zmqstream import ZMQStream

import kernel_ext
from kernel_ext.bounds import BoundedSession
from kernel_ext.channel import Channel, attach
from kernel_ext.confine import limit_resources, refuse_system_calls
from kernel_ext.shell import AgentShell
from kernel_ext.wire import Kind, Message

_PORTS = {"shell": 1, "iopub": 2, "stdin": 3, "hb": 4, "control": 5}
_ENDPOINT = "/k"  # only a label: the sockets are inherited, no path of this name exists
_REFUSED = frozenset(
    {
        "debug_request",
        "usage_request",
        "create_subshell_request",
        "delete_subshell_request",
        "list_subshell_request",
    }
)


class AgentKernel(IPythonKernel):  # type: ignore[misc]
    """IPython without what an agent's session never needs: the debugger, subshells and host usage figures."""

    implementation = "agent-kernel"
    shell_class = Type(AgentShell)
    # A pause before every reply, for clients that stop listening at the reply; the gateway listens until idle.
    _execute_sleep = Float(0.0)
    control_msg_types: ClassVar[list[str]] = [each for each in IPythonKernel.control_msg_types if each not in _REFUSED]

    @property
    def kernel_info(self) -> dict[str, Any]:
        """Without ipykernel's features whose requests are refused here: a front end would wait for their replies."""
        return {**super().kernel_info, "supported_features": []}

    async def execute_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Always replies: an interrupt may hit what ipykernel does around the cell's code, and would leave no reply."""
        after = self.shell.execution_count + 1
        try:
            await super().execute_request(stream, ident, parent)
        except KeyboardInterrupt:
            self.shell.execution_count = after
            content = {"status": "error", "ename": "KeyboardInterrupt", "evalue": "", "traceback": []}
            self.session.send(stream, "execute_reply", content, parent, ident=ident)

    async def interrupt_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Also wakes a cell that sleeps in `await`: ipykernel's signal handler leaves a note that nothing looks at."""
        await super().interrupt_request(stream, ident, parent)
        self.io_loop.add_callback(lambda: None)


class _InheritedHeartbeat(Heartbeat):  # type: ignore[misc]
    def __init__(self, fd: int) -> None:
        super().__init__(zmq.Context(), ("ipc", _ENDPOINT, _PORTS["hb"]))
        self._fd = fd

    def _try_bind_socket(self) -> None:
        self.socket.setsockopt(zmq.USE_FD, self._fd)
        self.socket.bind(f"ipc://{_ENDPOINT}-{self.port}")


class AgentKernelApp(IPKernelApp):  # type: ignore[misc]
    """IPKernelApp whose five sockets already listen when it starts; there is no connection file."""

    sockets: dict[int, int] = Dict()  # type: ignore[assignment]  # traitlets: fd by port
    control_port: int
    iopub_port: int

    def _try_bind_socket(self, sock: Any, port: int) -> int:
        sock.setsockopt(zmq.USE_FD, self.sockets[port])
        sock.bind(f"ipc://{_ENDPOINT}-{port}")
        return port

    def _session_default(self) -> BoundedSession:
        return BoundedSession(parent=self)

    def init_connection_file(self) -> None:
        """Everything came by inheritance."""

    def write_connection_file(self, **_: Any) -> None:
        """Nothing is written: a connection file would show the key to cell code."""

    def init_path(self) -> None:
        """A cell can import a module it wrote. Last, so that such a file takes no other module's place."""
        sys.path.append("")

    def init_poller(self) -> None:
        """The launcher ties the kernel's life to the gateway's."""

    def init_control(self, context: "zmq.Context[Any]") -> None:
        self.control_socket = context.socket(zmq.ROUTER)
        self.control_socket.linger = 1000
        self.control_socket.router_handover = 1
        self.control_port = self._bind_socket(self.control_socket, self.control_port)
        self.control_thread = ControlThread(daemon=True)
        # Without this thread every cell with `await` hangs in ipykernel 7.
        self.shell_channel_thread = ShellChannelThread(context, daemon=True)

    def init_iopub(self, context: "zmq.Context[Any]") -> None:
        self.iopub_socket = context.socket(zmq.XPUB)
        self.iopub_socket.linger = 1000
        self.iopub_port = self._bind_socket(self.iopub_socket, self.iopub_port)
        self.configure_tornado_logger()
        self.iopub_thread = IOPubThread(self.iopub_socket, pipe=False, session=self.session)
        self.iopub_thread.start()
        self.iopub_socket = self.iopub_thread.background_socket

    def init_heartbeat(self) -> None:
        self.heartbeat = _InheritedHeartbeat(self.sockets[_PORTS["hb"]])
        self.heartbeat.start()

    def init_kernel(self) -> None:
        shell_stream = ZMQStream(self.shell_socket, self.shell_channel_thread.io_loop)
        self.shell_channel_thread.shell_stream = shell_stream
        control_stream = ZMQStream(self.control_socket, self.control_thread.io_loop)
        self.control_thread.start()
        self.shell_channel_thread.start()
        kernel = self.kernel_class.instance(
            parent=self,
            session=self.session,
            control_stream=control_stream,
            debugpy_stream=None,
            debug_shell_socket=None,
            shell_stream=shell_stream,
            control_thread=self.control_thread,
            shell_channel_thread=self.shell_channel_thread,
            iopub_thread=self.iopub_thread,
            iopub_socket=self.iopub_socket,
            stdin_socket=self.stdin_socket,
            log=self.log,
            profile_dir=self.profile_dir,
            user_ns=self.user_ns,
        )
        kernel.record_ports({f"{name}_port": port for name, port in self._ports.items()})
        self.kernel = kernel
        self.displayhook.get_execution_count = lambda: kernel.execution_count

    def start(self) -> None:
        """Until a shutdown request. Control ends first: at exit its last flush would wait ten seconds for iopub."""
        super().start()
        self.control_thread.stop()
        self.control_thread.join()


def configuration() -> Config:
    config = Config()
    config.InteractiveShellApp.extensions = ["kernel_ext"]
    config.InteractiveShellApp.reraise_ipython_extension_failures = True  # no way out: no kernel
    config.InteractiveShellApp.exec_PYTHONSTARTUP = False
    config.InteractiveShell.cache_size = 0  # an Out[] list would keep every displayed image alive
    config.InteractiveShell.enable_tip = False
    config.HistoryManager.hist_file = ":memory:"
    config.IPCompleter.use_jedi = False
    config.IPKernelApp.capture_fd_output = False
    config.IPKernelApp.kernel_class = AgentKernel
    config.AgentKernelApp.log_level = logging.CRITICAL
    return config


def start(spec: Mapping[str, Any]) -> AgentKernelApp:
    """The kernel with its sockets bound and its extension loaded, nobody's yet."""
    app: AgentKernelApp = AgentKernelApp.instance(
        config=configuration(),
        transport="ipc",
        ip=_ENDPOINT,
        **{f"{name}_port": port for name, port in _PORTS.items()},
    )
    app.sockets = {_PORTS[name]: fd for name, fd in spec["sockets"].items()}
    # Unguessable until the session's own key arrives with the claim: nobody can speak to an unclaimed kernel.
    app.session.key = secrets.token_bytes(32)
    app.initialize([])
    return app


def claim(app: AgentKernelApp, head: Mapping[str, Any]) -> None:
    """Gives the kernel its identity: the session's message key, its client and its place in the session's count."""
    app.session.key = head["key"].encode()
    kernel_ext.install(head["manifest"])
    app.kernel.shell.execution_count = head["execution_count"]


def main() -> None:
    spec = json.loads(sys.argv[1])
    limit_resources(spec["limits"])
    refuse_system_calls(bytes.fromhex(spec["filter"]))
    app: AgentKernelApp | None = None

    def on_message(message: Message) -> None:
        if message.kind is Kind.CLAIM and app is not None:
            claim(app, message.head)
            channel.send(Message(Kind.CLAIMED, message.id))

    channel = Channel(socket.socket(fileno=spec["channel"]), on_message, on_closed=lambda: os._exit(0))
    attach(channel)
    app = start(spec)
    channel.start()
    channel.send(Message(Kind.READY, 0, {"python": platform.python_version(), "pid": os.getpid()}))
    app.start()


if __name__ == "__main__":
    main()
