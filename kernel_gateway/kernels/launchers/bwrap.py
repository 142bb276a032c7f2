"""A fresh process per kernel inside bubblewrap: own user, pid, net, mount, ipc, uts and cgroup namespaces."""

import contextlib
import json
import os
import shutil
import signal
from asyncio.subprocess import Process
from collections.abc import Iterable, Mapping

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.launchers.processes import ChildProcess, fresh_start, python_command, readable, spawn
from kernel_gateway.sandbox.spec import HOME, IMAGE, UID, SandboxSpec

_TEMPLATE_SCRATCH_BYTES = 1024 * 1024  # what a template writes is hidden from every kernel

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


class BwrapProcess(ChildProcess):
    """bwrap stays as the kernel's parent. `init_fd` is a pidfd of the namespace's init: its death ends all in there."""

    def __init__(self, process: Process, init_fd: int) -> None:
        super().__init__(process)
        self._init_fd = init_fd

    async def _end(self) -> int:
        """Until bwrap and the namespace's init are gone, and with it everything in the sandbox."""
        code = await super()._end()
        if self._init_fd >= 0:
            await readable(self._init_fd)
            os.close(self._init_fd)
            self._init_fd = -1
        return code

    def send_signal(self, signum: int) -> None:
        """To the sandbox's init itself: what bwrap does on its own death, a process inside might have undone."""
        if self._init_fd < 0:
            super().send_signal(signum)
        else:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init_fd, signum)


class BwrapLauncher:
    name = "bwrap"

    def __init__(self, spec: SandboxSpec) -> None:
        self._spec = spec

    def __repr__(self) -> str:
        return f"<BwrapLauncher image={self._spec.image_digest[:12]}>"

    async def launch(self, fds: Mapping[str, int]) -> BwrapProcess:
        start = fresh_start(fds, self._spec.plan(self.name))
        command = python_command(str(self._spec.python), str(IMAGE), "kernel_ext.start", start)
        return await enter(self._spec, command, fds.values())

    async def close(self) -> None:
        """Each kernel is a process of its own; nothing else runs."""


async def enter(spec: SandboxSpec, command: list[str], fds: Iterable[int], *, template: bool = False) -> BwrapProcess:
    """Runs `command`, which inherits `fds`, inside bubblewrap. Raises GatewayError("sandbox")."""
    if (program := shutil.which("bwrap")) is None:
        raise GatewayError("sandbox", "bubblewrap is not installed; run `apt-get install bubblewrap`")
    files = {path: _memory_file(text) for path, text in spec.files.items()}
    information, told = os.pipe2(os.O_CLOEXEC)
    line = arguments(spec, command, files, told, template=template)
    try:
        process = await spawn(program, line, [*fds, *files.values(), told], {})
    except BaseException:
        os.close(information)
        raise
    finally:
        for fd in (*files.values(), told):
            os.close(fd)
    try:
        init_fd = await _init_of(information)
    except BaseException:
        unfinished = BwrapProcess(process, -1)
        unfinished.send_signal(signal.SIGKILL)
        await unfinished.wait()
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


def _memory_file(text: str) -> int:
    fd = os.memfd_create("sandbox-file", os.MFD_CLOEXEC)
    os.write(fd, text.encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
