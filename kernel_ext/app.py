"""A kernel in two steps: prepared once without sockets, threads or identity, then taking over inherited sockets.

What is prepared can be forked; a process that starts afresh does both steps one after the other.
"""

import ctypes
import faulthandler  # noqa: F401 -- ipykernel imports it later, in every child
import io
import logging
import os
import random
import secrets
import signal
import sys
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from kernel_ext.kernel import AgentKernel, NoShellChannel  # first: it shuts the debugger out

# isort: split
import zmq
from ipykernel.control import ControlThread
from ipykernel.heartbeat import Heartbeat
from ipykernel.kernelapp import IPKernelApp
from ipykernel.thread import make_selector_io_loop
from tornado.ioloop import IOLoop
from traitlets import Dict
from traitlets.config import Config
from zmq.eventloop.zmqstream import ZMQStream

from kernel_ext.bounds import BoundedSession
from kernel_ext.iopub import Publisher
from kernel_ext.pages import Origin
from kernel_ext.rest import Rest, Stop

PORTS = {"shell": 1, "iopub": 2, "stdin": 3, "hb": 4, "control": 5}
_TWISTER_WORDS = 624
_ENDPOINT = "/k"  # only a label: the sockets are inherited, no path of this name exists
# Above it messages would be dropped without a word; libzmq's 1000 are fewer than a cell can show while nobody reads.
_QUEUED_MESSAGES = 100_000
# They take the ways that a session's first cells take: a result, a print, an error with its traceback.
_WARM_UP = ("1 + 1", "print('warm')", "undefined_name")


class _InheritedHeartbeat(Heartbeat):  # type: ignore[misc]
    def __init__(self, fd: int) -> None:
        super().__init__(zmq.Context(), ("ipc", _ENDPOINT, PORTS["hb"]))
        self._fd = fd

    def _try_bind_socket(self) -> None:
        self.socket.setsockopt(zmq.USE_FD, self._fd)
        self.socket.bind(f"ipc://{_ENDPOINT}-{self.port}")


class AgentKernelApp(IPKernelApp):  # type: ignore[misc]
    """IPKernelApp whose five sockets already listen when it starts; there is no connection file."""

    sockets: dict[int, int] = Dict()  # type: ignore[assignment]  # traitlets: fd by port
    origin: Origin | None = None
    control_port: int
    default_extensions: list[str]
    iopub_port: int

    def prepare(self) -> None:
        """Kernel and shell, warmed. Starts no thread and opens no socket, so that a process can be forked from here."""
        super(IPKernelApp, self).initialize([])
        self.log.setLevel(self.log_level)  # the handler's level alone would let every record be made, then dropped
        self.init_pdb()
        self.kernel = AgentKernel.instance(
            parent=self, session=self.session, log=self.log, profile_dir=self.profile_dir, user_ns=self.user_ns
        )
        self.init_path()
        self.init_shell()
        self.warm_up(_WARM_UP)
        for extension in self.default_extensions:
            self.shell.extension_manager.load_extension(extension)
        self.default_extensions = []  # in a kernel only ours is left to load
        for kind in (*zmq.Context.__mro__, *zmq.Socket.__mro__):
            getattr(kind, "__annotations__", None)  # the first look makes them, and that unsettles every subclass
        make_selector_io_loop().close()  # imported and run once here, asyncio and tornado are shared; no loop is kept

    def take_over(self, sockets: Mapping[str, int]) -> None:
        """Serves on `sockets`, by name. Nobody can speak to it before the claim: its key is unguessable until then."""
        self.sockets = {PORTS[name]: fd for name, fd in sockets.items()}
        session = self.session
        session.pid, session.session, session.key = os.getpid(), uuid.uuid4().hex, secrets.token_bytes(32)
        self.kernel.ident = str(uuid.uuid4())
        self.init_sockets()
        self.init_io()
        self.init_signal()
        self._wire()
        self.init_extensions()
        self.init_heartbeat()

    def init_path(self) -> None:
        """A cell can import a module it wrote. Last, so that such a file takes no other module's place."""
        sys.path.append("")

    def rest_with(self, stop_channel: Stop) -> None:
        """Lets the kernel give back memory between cells, where its template remembers what it held."""
        if self.origin is not None:
            stops = [self.iopub_thread.io_loop.add_callback, self.control_thread.io_loop.add_callback, stop_channel]
            self.kernel.rest = Rest(self.origin, IOLoop.current(), stops)

    def start(self) -> None:
        """Until a shutdown request. Control ends first: at exit its last flush would wait ten seconds for iopub."""
        IOLoop.current().add_callback(self.kernel.rehearse)
        super().start()
        self.control_thread.stop()
        self.control_thread.join()

    def _wire(self) -> None:
        """Gives the prepared kernel what `init_kernel` would have built it with."""
        kernel, shell, session = self.kernel, self.kernel.shell, self.session
        kernel.shell_channel_thread, kernel.control_thread = self.shell_channel_thread, self.control_thread
        kernel.shell_stream = ZMQStream(self.shell_socket)
        kernel.control_stream = ZMQStream(self.control_socket, self.control_thread.io_loop)
        kernel.iopub_thread, kernel.iopub_socket = self.iopub_thread, self.iopub_socket
        kernel.stdin_socket = self.stdin_socket
        kernel._stdout, kernel._stderr = sys.stdout, sys.stderr
        kernel.record_ports({f"{name}_port": port for name, port in PORTS.items()})
        for publisher in (shell.displayhook, shell.display_pub):
            publisher.session, publisher.pub_socket = session, self.iopub_socket
        shell.displayhook.topic = kernel._topic("execute_result")
        self.displayhook.get_execution_count = lambda: kernel.execution_count
        self.control_thread.start()

    def warm_up(self, cells: Iterable[str]) -> None:
        """Runs `cells` before there is anybody to show anything to, and forgets what they left."""
        shell = self.kernel.shell
        nowhere = _Nowhere()
        self.kernel.iopub_socket = shell.displayhook.pub_socket = shell.display_pub.pub_socket = nowhere
        saved = sys.stdout, sys.stderr, sys.displayhook
        sys.stdout = sys.stderr = io.StringIO()
        try:
            for cell in cells:
                shell.run_cell(cell)
        finally:
            sys.stdout, sys.stderr, sys.displayhook = saved
        shell.reset(new_session=True)
        shell.execution_count = 1
        shell.display_pub._last_traceback = None

    def _try_bind_socket(self, sock: Any, port: int) -> int:
        sock.setsockopt(zmq.USE_FD, self.sockets[port])
        sock.bind(f"ipc://{_ENDPOINT}-{port}")
        return port

    def _session_default(self) -> BoundedSession:
        return BoundedSession(parent=self)

    def init_control(self, context: "zmq.Context[Any]") -> None:
        self.control_socket = context.socket(zmq.ROUTER)
        self.control_socket.linger = 1000
        self.control_socket.router_handover = 1
        self.control_port = self._bind_socket(self.control_socket, self.control_port)
        self.control_thread = ControlThread(daemon=True)
        self.shell_channel_thread = NoShellChannel()

    def init_iopub(self, context: "zmq.Context[Any]") -> None:
        self.iopub_socket = context.socket(zmq.XPUB)
        self.iopub_socket.sndhwm = _QUEUED_MESSAGES
        self.iopub_socket.linger = 1000
        self.iopub_port = self._bind_socket(self.iopub_socket, self.iopub_port)
        self.configure_tornado_logger()
        self.iopub_thread = Publisher(self.iopub_socket, self.session)
        self.iopub_thread.start()
        self.iopub_socket = self.iopub_thread.background_socket

    def init_heartbeat(self) -> None:
        """Begins to beat for the first who listens; most clients never do, and it takes two threads."""
        fd = self.sockets[PORTS["hb"]]
        loop = self.control_thread.io_loop

        def beat(*_: Any) -> None:
            loop.remove_handler(fd)
            self.heartbeat = _InheritedHeartbeat(fd)
            self.heartbeat.start()

        loop.add_callback(loop.add_handler, fd, beat, loop.READ)


class _Nowhere:
    """Where what a warming cell shows is sent."""

    def send_multipart(self, *_: Any, **__: Any) -> None:
        """Is not sent."""


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
    config.IPKernelApp.outstream_class = "kernel_ext.iopub.Stream"
    config.AgentKernelApp.log_level = logging.CRITICAL
    return config


def prepared() -> AgentKernelApp:
    """The kernel before it has sockets, threads or an identity."""
    app: AgentKernelApp = AgentKernelApp.instance(
        config=configuration(),
        transport="ipc",
        ip=_ENDPOINT,
        **{f"{name}_port": port for name, port in PORTS.items()},
    )
    app.prepare()
    return app


def reseed() -> None:
    """What a forked process must not share with its siblings. The hash seed and the address layout stay shared."""
    random.seed()
    if (numpy := sys.modules.get("numpy")) is not None:
        _fill_with_chance(numpy.random.mtrand._rand._bit_generator)
    signal.set_wakeup_fd(-1)


def _fill_with_chance(twister: Any) -> None:
    """As numpy.random.seed() does, in place: the state of an MT19937 is 624 random words and how many were used."""
    words = os.urandom(4 * _TWISTER_WORDS)
    ctypes.memmove(twister.ctypes.state_address, words + _TWISTER_WORDS.to_bytes(4, sys.byteorder), len(words) + 4)
