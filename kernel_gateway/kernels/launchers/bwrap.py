"""A fresh process per kernel inside bubblewrap: own user, pid, net, mount, ipc, uts and cgroup namespaces."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from kernel_gateway.errors import GatewayError
from kernel_gateway.sandbox.spec import HOME, IMAGE, UID, SandboxSpec

_TEMPLATE_SCRATCH_BYTES = 1024 * 1024  # what a template writes is hidden from every kernel
_KEPT_LINES = 40  # of standard error: enough for one traceback


_OF_A_KERNEL = ["--disable-userns", "--uid", str(UID), "--gid", str(UID), "--cap-drop", "ALL"]
# A template makes namespaces for its children: it has every capability, inside a user namespace of its own.
_OF_A_TEMPLATE = ["--uid", "0", "--gid", "0", "--cap-add", "ALL", "--proc", "/proc"]


def arguments(
    spec: SandboxSpec,
    command: list[str],
    file_fds: Mapping[str, int],
    information_fd: int,
    *,
    template: bool = False,
) -> list[str]:
    """The bwrap command line. `file_fds` maps each of `spec.files` to a descriptor that holds its content."""
    line = ["bwrap", "--unshare-all", "--unshare-user", *(_OF_A_TEMPLATE if template else _OF_A_KERNEL)]
    line += ["--die-with-parent", "--new-session", "--hostname", "kernel", "--clearenv"]
    line += ["--info-fd", str(information_fd)]
    for name, value in spec.environment.items():
        line += ["--setenv", name, value]
    for mount in spec.mounts:
        line += ["--ro-bind", str(mount.source), str(mount.target)]
    for target in spec.hidden:
        line += ["--tmpfs", str(target), "--remount-ro", str(target)]
    for source, target in spec.links:
        line += ["--symlink", source, str(target)]
    for path, fd in file_fds.items():
        line += ["--ro-bind-data", str(fd), path]
    # A kernel has no /proc: its mount table and its view of the processes would tell about the host.
    line += ["--dev", "/dev"]
    for scratch in spec.scratch:
        size = _TEMPLATE_SCRATCH_BYTES if template else scratch.size_bytes
        line += ["--size", str(size), "--tmpfs", str(scratch.target)]
    return [*line, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(HOME), "--", *command]


def python_command(spec: SandboxSpec, module: str, argument: Mapping[str, Any]) -> list[str]:
    """Runs `module.main()` of the kernel image with one JSON argument."""
    boot = f"import site; site.addsitedir('{IMAGE}'); from {module} import main; main()"
    return [str(spec.python), "-I", "-c", boot, json.dumps(argument)]


class BwrapProcess:
    """bwrap stays as the kernel's parent. `init_fd` is a pidfd of the namespace's init: its death ends all in there."""

    def __init__(self, process: Process, init_fd: int) -> None:
        self._process, self._init_fd = process, init_fd
        self._gone = asyncio.create_task(self._wait(), name="sandbox-end")
        self._stderr: deque[bytes] = deque(maxlen=_KEPT_LINES)
        self._reader = asyncio.create_task(self._read_stderr(), name="kernel-stderr")

    def __repr__(self) -> str:
        return f"<BwrapProcess {self.pid} {'running' if self.returncode is None else self.returncode}>"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def wait(self) -> int:
        """Until bwrap and the namespace's init are gone, and with it everything in the sandbox."""
        return await asyncio.shield(self._gone)

    async def _wait(self) -> int:
        code = await self._process.wait()
        if self._init_fd >= 0:
            await readable(self._init_fd)
            os.close(self._init_fd)
            self._init_fd = -1
        return code

    def send_signal(self, signum: int) -> None:
        """To the sandbox's init itself: what bwrap does on its own death, a process inside might have undone."""
        with contextlib.suppress(ProcessLookupError):
            if self._init_fd >= 0:
                signal.pidfd_send_signal(self._init_fd, signum)
            elif self._process.returncode is None:
                self._process.send_signal(signum)

    def last_words(self) -> str:
        return b"".join(self._stderr).decode(errors="replace")

    async def _read_stderr(self) -> None:
        """Reads on to the end, so that a talkative kernel never blocks; keeps the last lines, each cut."""
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(4096):
            self._stderr.append(data)


class BwrapLauncher:
    name = "bwrap"

    def __init__(self, spec: SandboxSpec) -> None:
        self._spec = spec

    def __repr__(self) -> str:
        return f"<BwrapLauncher image={self._spec.image_digest[:12]}>"

    async def launch(self, fds: Mapping[str, int]) -> BwrapProcess:
        sockets = {name: fd for name, fd in fds.items() if name != "channel"}
        start = {"sockets": sockets, "channel": fds["channel"], "plan": self._spec.plan(self.name)}
        return await enter(self._spec, python_command(self._spec, "kernel_ext.start", start), fds.values())

    async def close(self) -> None:
        """Each kernel is a process of its own; nothing else runs."""


async def enter(
    spec: SandboxSpec, command: list[str], fds: Iterable[int], *, template: bool = False
) -> BwrapProcess:
    """Runs `command`, which inherits `fds`, inside bubblewrap. Raises GatewayError("sandbox")."""
    if (program := shutil.which("bwrap")) is None:
        raise GatewayError("sandbox", "bubblewrap is not installed; run `apt-get install bubblewrap`")
    files = {path: _memory_file(text) for path, text in spec.files.items()}
    information, told = os.pipe2(os.O_CLOEXEC)
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments(spec, command, files, told, template=template),
            executable=program,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            pass_fds=[*fds, *files.values(), told],
            env={},
        )
    except OSError as error:
        os.close(information)
        raise GatewayError("sandbox", f"cannot start bubblewrap: {error.strerror}") from error
    finally:
        for fd in (*files.values(), told):
            os.close(fd)
    try:
        init_fd = await _init_of(information)
    except BaseException:
        process.kill()
        raise
    return BwrapProcess(process, init_fd)


async def _init_of(information: int) -> int:
    """A pidfd of the process that bwrap names as its child; -1 where it named none, because it failed."""
    told = b""
    try:
        while True:  # to its end: bwrap writes in several pieces, and would die of one that nobody takes
            await readable(information)
            if not (piece := os.read(information, 4096)):
                break
            told += piece
        return os.pidfd_open(json.loads(told)["child-pid"])
    except (KeyError, ValueError, ProcessLookupError):
        return -1
    finally:
        os.close(information)


async def readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def seen() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, seen)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _memory_file(text: str) -> int:
    fd = os.memfd_create("sandbox-file", os.MFD_CLOEXEC)
    os.write(fd, text.encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
