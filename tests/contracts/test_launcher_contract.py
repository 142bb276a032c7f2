"""What every launcher owes: one suite over all that the configuration can name, with real kernels.

Whether a process lives is asked of the host's process table, never of the launcher.
"""

import asyncio
import json
import os
import signal
import socket
import stat
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import pytest
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from kernel_ext.wire import Kind, Message
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.launchers import KernelProcess
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.kernels.sockets import CHANNELS, KernelSockets
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.sandbox.cgroups import Cgroups
from kernel_gateway.sandbox.spec import ENVIRONMENT
from kernel_gateway.settings import Settings

CGROUPS = Cgroups.find()
LAUNCHERS = get_args(KernelSettings.model_fields["launcher"].annotation)
IMAGE = Path(__file__).parents[2] / "build" / "kernel"
MANIFEST = {"version": 1, "servers": {}}
PATIENCE_SECONDS = 30

# A process that has left its session and parent and takes no hint. The cell ends when it runs.
STUBBORN = """
import os, signal, threading
for each in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(each, signal.SIG_IGN)
threading.Thread(target=threading.Event().wait).start()  # not a daemon: it would keep an ordinary process alive
"""


def settings_of(launcher):
    return {"sandbox": {"image": str(IMAGE)}, "kernels": {"launcher": launcher, "preload": []}}


@pytest.fixture(params=LAUNCHERS)
async def launcher(request):
    """Takes the place of the shared fixture: what is built on that runs once per launcher."""
    made = kernel_launcher(Settings.of(settings_of(request.param)), unsafe=request.param == "none")
    yield made
    await made.close()


@dataclass
class Recorded:
    """A launcher that notes what is open in this process at the moment of the launch."""

    inner: object
    given: dict = field(default_factory=dict)
    others: set = field(default_factory=set)

    @property
    def name(self):
        return self.inner.name

    async def launch(self, fds):
        self.given = {name: identity(fd) for name, fd in fds.items()}
        every = {identity(fd) for fd in range(256) if is_open(fd)}
        self.others = every - set(self.given.values())
        return await self.inner.launch(fds)


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def identity(fd):
    """What two processes that share an open thing agree on."""
    found = os.fstat(fd)
    return (stat.S_IFMT(found.st_mode), found.st_dev, found.st_ino)


@dataclass
class WithoutChannel:
    """A launcher whose kernels find something else where their way out should be."""

    inner: object

    async def launch(self, fds):
        with open(os.devnull) as nothing:
            return await self.inner.launch(fds | {"channel": nothing.fileno()})


@dataclass
class Launched:
    """A claimed kernel with the parts that a launcher made or was given."""

    kernel: Kernel
    process: KernelProcess
    sockets: KernelSockets
    launcher: Recorded
    requests: asyncio.Queue

    async def run(self, code, stop=None):
        stop = stop or asyncio.get_running_loop().create_future()
        return await self.kernel.run(code, PATIENCE_SECONDS, stop)

    def members(self):
        """Every process of this sandbox: what descends from it, and what holds its end of the sixth channel."""
        return descendants(self.process.pid) | holders(self.launcher.given["channel"][2])


def descendants(pid):
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended while we looked
    found, grown = {pid} & set(parents), True
    while grown:
        more = {child for child, parent in parents.items() if parent in found} - found
        found, grown = found | more, bool(more)
    return found


def holders(socket_inode):
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) == f"socket:[{socket_inode}]":
                found.add(int(link.parts[2]))
        except OSError:
            continue
    return found


def cgroup_of(pid):
    """The name of its memory cgroup, or of the one around it that is the gateway's."""
    version = CGROUPS.hierarchies["memory"].version
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" if version == 2 else "memory" in controllers.split(","):
            return next((part for part in path.split("/") if part.startswith("kg-")), path)
    return ""


@asynccontextmanager
async def watching(pids):
    """Gives `ended()`: returns when every one of `pids` has ended. A pidfd stays true when the number is used again."""
    fds = [os.pidfd_open(pid) for pid in pids]

    async def ended():
        loop = asyncio.get_running_loop()
        for fd in fds:
            over = asyncio.Event()
            loop.add_reader(fd, over.set)
            try:
                await asyncio.wait_for(over.wait(), PATIENCE_SECONDS)
            finally:
                loop.remove_reader(fd)

    try:
        yield ended
    finally:
        for fd in fds:
            os.close(fd)


@pytest.fixture
def temporary(monkeypatch):
    """The gateway's temporary folder, empty. Its path is short: it has to hold Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="lc-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
async def launch(launcher):
    """Starts and claims kernels; all are stopped at the end."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(launcher.close)

        async def start():
            recorded = Recorded(launcher)
            kernel = await Kernel.start(recorded, KernelSettings())
            stack.push_async_callback(kernel.stop)
            requests = asyncio.Queue()

            async def answer(message):
                await requests.put(message)
                return Message(Kind.RESULT, message.id, {"value": message.head})

            launched = Launched(kernel, kernel._process, kernel._sockets, recorded, requests)
            await kernel.claim(MANIFEST, answer, 1)
            return launched

        yield start


def test_every_launcher_of_the_configuration_is_judged():
    assert "bwrap" in LAUNCHERS
    for name in LAUNCHERS:
        assert kernel_launcher(Settings.of(settings_of(name)), unsafe=True).name == name


async def test_each_inherited_socket_is_the_kernels(launch):
    launched = await launch()
    context = zmq.asyncio.Context()
    try:
        for name in CHANNELS:
            with context.socket(zmq.SUB if name == "iopub" else zmq.DEALER) as sock:
                sock.linger = 0
                monitor = sock.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
                sock.connect(f"ipc://{launched.sockets.path(name)}")
                await asyncio.wait_for(recv_monitor_message(monitor), PATIENCE_SECONDS)
                if name == "hb":
                    await sock.send_multipart([b"", b"are you there"])
                    answer = await asyncio.wait_for(sock.recv_multipart(), PATIENCE_SECONDS)
                    assert answer == [b"", b"are you there"]
                sock.disable_monitor()
                monitor.close()
    finally:
        context.destroy(linger=0)


async def test_cells_calls_and_interrupts_go_through_the_inherited_sockets(launch):
    launched = await launch()
    assert (await launched.run("21 * 2")).outputs.result == "42"
    stop = asyncio.get_running_loop().create_future()
    cell = asyncio.create_task(
        launched.run("import signal\nprint(call_tool('any:thing', {'a': 1}))\nsignal.pause()", stop)
    )
    request = await asyncio.wait_for(launched.requests.get(), PATIENCE_SECONDS)
    assert request.head == {"operation": "any:thing", "arguments": {"a": 1}}
    stop.set_result(None)
    outcome = await cell
    assert outcome.status == "interrupted"
    assert (await launched.run("'alive'")).outputs.result == "'alive'"


async def test_a_running_process_has_an_id_and_no_exit_code(launch):
    launched = await launch()
    assert launched.process.returncode is None
    assert launched.process.pid in launched.members()
    assert len(launched.launcher.given) == 7


@pytest.mark.skipif("memory" not in CGROUPS.hierarchies, reason=f"no memory cgroup here: {CGROUPS.missing}")
async def test_every_process_of_a_kernel_is_in_the_cgroup_of_that_kernel(launch):
    neighbour, launched = await launch(), await launch()
    inside = {cgroup_of(pid) for pid in launched.members()}
    assert {name.startswith(f"kg-{os.getpid()}-") for name in inside} == {True}
    assert inside.isdisjoint(cgroup_of(pid) for pid in neighbour.members())
    assert len(inside) == 1


@pytest.mark.parametrize("code", [0, 7, 120])
async def test_an_exit_code_is_reported(launch, code):
    launched = await launch()
    outcome = await launched.run(f"import os; os._exit({code})")
    assert outcome.status == "lost"
    assert await launched.process.wait() == launched.process.returncode == code
    assert outcome.cause == f"its process exited with status {code}"


async def test_the_signal_of_a_fault_that_ended_a_kernel_is_reported(launch):
    launched = await launch()
    outcome = await launched.run("import ctypes; ctypes.string_at(0)")
    assert outcome.status == "lost"
    assert await launched.process.wait() in (-signal.SIGSEGV, 128 + signal.SIGSEGV)
    assert "SIGSEGV" in outcome.cause


async def test_a_kernel_that_the_host_kills_says_so(launch):
    launched = await launch()
    running = asyncio.create_task(launched.run("import time; time.sleep(60)"))
    launched.process.send_signal(signal.SIGKILL)
    outcome = await running
    assert outcome.status == "lost"
    assert await launched.process.wait() in (-signal.SIGKILL, 128 + signal.SIGKILL)
    assert "SIGKILL" in outcome.cause


async def test_a_signal_to_a_process_that_has_ended_does_nothing(launch):
    launched = await launch()
    await launched.run("import os; os._exit(3)")
    await launched.process.wait()
    launched.process.send_signal(signal.SIGKILL)
    assert await launched.process.wait() == 3


async def test_a_kill_takes_a_kernel_that_ignores_signals_and_all_that_belongs_to_it(launch):
    launched = await launch()
    assert (await launched.run(STUBBORN)).status == "ok"
    members = launched.members()
    assert members
    async with watching(members) as ended:
        launched.process.send_signal(signal.SIGKILL)
        await launched.process.wait()
        await ended()
    assert launched.members() == set()


async def test_a_kernel_that_ends_leaves_nothing_that_it_started(launch):
    launched = await launch()
    await launched.run(STUBBORN)
    async with watching(launched.members()) as ended:
        await launched.run("os._exit(0)")
        await ended()


GATEWAY = f"""
import asyncio, json, sys
from kernel_gateway.settings import Settings
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.settings import KernelSettings

async def answer(message):
    return message

async def main():
    launcher = kernel_launcher(Settings.of(json.loads(sys.argv[1])), unsafe=True)
    kernel = await Kernel.start(launcher, KernelSettings())
    await kernel.claim({MANIFEST!r}, answer, 1)
    never = asyncio.get_running_loop().create_future()
    outcome = await kernel.run({STUBBORN!r}, {PATIENCE_SECONDS}, never)
    print(outcome.status, flush=True)
    await never

asyncio.run(main())
"""


async def test_no_kernel_survives_a_gateway_that_is_killed(launcher, temporary):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GATEWAY, json.dumps(settings_of(launcher.name)), stdout=asyncio.subprocess.PIPE
    )
    try:
        said = await asyncio.wait_for(process.stdout.readline(), 2 * PATIENCE_SECONDS)
        assert said == b"ok\n"
        kernels = descendants(process.pid) - {process.pid}
        assert kernels
        async with watching(kernels) as ended:
            process.kill()
            await process.wait()
            await ended()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


# Set inside, by bubblewrap (PWD) and by ipykernel for programs that a cell starts.
KERNELS_OWN_VARIABLES = {"PWD", "TERM", "CLICOLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "PAGER", "GIT_PAGER"}


async def test_no_variable_of_the_host_is_inside(launch, monkeypatch):
    for name in ("HOST_SECRET", "HOME", "LANG", "PYTHONPATH", "PYTHONSTARTUP", "IPYTHONDIR", "MPLCONFIGDIR",
                 "LD_LIBRARY_PATH", "LC_ALL", "TZ", "http_proxy", *KERNELS_OWN_VARIABLES):  # fmt: skip
        monkeypatch.setenv(name, "/canary")
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/canary")
    launched = await launch()
    outcome = await launched.run("import json, os; print(json.dumps(dict(os.environ)))")
    inside = json.loads(outcome.outputs.stdout)
    own_home = launched.launcher.name in ("filtered", "none")
    assert (inside["HOME"] == "/home/kernel") != own_home
    assert [name for name, value in inside.items() if "canary" in value] == []
    assert set(inside) <= set(ENVIRONMENT) | KERNELS_OWN_VARIABLES


DESCRIPTORS = """
import json, os, stat
found = {}
for fd in range(256):
    try:
        status = os.fstat(fd)
    except OSError:
        continue
    found[fd] = (stat.S_IFMT(status.st_mode), status.st_dev, status.st_ino)
print(json.dumps(found))
"""


@pytest.fixture
def inheritable(tmp_path):
    """One thing of each kind that a careless launch would pass on: a file, a folder, a pipe, a pair of sockets."""
    (tmp_path / "secret").write_text("of the host")
    left, right = socket.socketpair()
    fds = [
        os.open(tmp_path / "secret", os.O_RDONLY), os.open(tmp_path, os.O_RDONLY), *os.pipe(),
        left.detach(), right.detach(),
    ]  # fmt: skip
    for fd in fds:
        os.set_inheritable(fd, True)
    yield {identity(fd) for fd in fds}
    for fd in fds:
        os.close(fd)


async def test_nothing_that_the_gateway_has_open_is_open_inside_but_what_was_given(launch, inheritable):
    neighbour = await launch()
    launched = await launch()
    assert inheritable <= launched.launcher.others
    outcome = await launched.run(DESCRIPTORS)
    inside = {int(fd): tuple(value) for fd, value in json.loads(outcome.outputs.stdout).items()}
    assert set(launched.launcher.given.values()) <= set(inside.values())
    foreign = launched.launcher.others | set(neighbour.launcher.given.values())
    named = {fd: each for fd, each in inside.items() if each[0] != 0}  # eventfds and the like all look the same
    assert [fd for fd, each in named.items() if each in foreign and not is_null(each)] == []


async def test_inside_there_are_sockets_a_memory_file_the_standard_streams_and_nothing_else(launch):
    launched = await launch()
    outcome = await launched.run(DESCRIPTORS)
    inside = {int(fd): tuple(value) for fd, value in json.loads(outcome.outputs.stdout).items()}
    kinds = {fd: each[0] for fd, each in inside.items() if each[0] != 0}
    memory = launched.launcher.given["memory"]
    others = [fd for fd, each in inside.items() if kinds.get(fd, stat.S_IFSOCK) != stat.S_IFSOCK and each != memory]
    assert others == [0, 1, 2]
    assert all(is_null(inside[fd]) for fd in (0, 1, 2))


def is_null(identity):
    found = os.stat(os.devnull)
    return identity == (stat.S_IFCHR, found.st_dev, found.st_ino)


async def test_what_a_cell_writes_to_standard_error_itself_reaches_nobody(launch):
    launched = await launch()
    outcome = await launched.run("import os\nfor _ in range(256): os.write(2, b'x' * 65536)\n'through'")
    assert outcome.outputs.result == "'through'"
    assert launched.process.last_words() == ""


async def test_a_stopped_kernel_leaves_no_file_behind(launch, temporary):
    await (await launch()).kernel.stop()
    before = set(temporary.iterdir())  # a template without a root of its own has a folder for as long as it lives
    launched = await launch()
    assert set(temporary.iterdir()) - before
    name = temporary.name
    await launched.run(
        f"from pathlib import Path\nfor each in ('/tmp', '~'): Path(each, '{name}').expanduser().touch()"
    )
    await launched.kernel.stop()
    assert set(temporary.iterdir()) == before
    await launched.launcher.inner.close()
    assert list(temporary.iterdir()) == []
    assert not [each for each in (Path("/tmp"), Path.home()) if (each / name).exists() and each / name != temporary]


async def test_a_kernel_that_does_not_start_is_an_error_of_the_sandbox_and_leaves_nothing(launcher, temporary, caplog):
    before = descendants(os.getpid())
    with pytest.raises(GatewayError) as refused:
        await Kernel.start(WithoutChannel(launcher), KernelSettings())
    assert refused.value.code == "sandbox"
    assert "kernel did not start" in caplog.text
    await launcher.close()
    assert list(temporary.iterdir()) == []
    assert descendants(os.getpid()) <= before
