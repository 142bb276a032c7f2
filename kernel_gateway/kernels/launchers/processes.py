"""A kernel that is a direct child of this process, however it is confined: what all fresh-process launchers share."""

import asyncio
import contextlib
import json
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kernel_gateway.errors import GatewayError

_KEPT_PIECES = 40  # of standard error, each at most 4 KiB: enough for one traceback


def python_command(
    python: str, packages: str, module: str, argument: Mapping[str, Any], *, flags: str = "-I", parent: int = 0
) -> list[str]:
    """Runs `module.main()` of the image in `packages` with one JSON argument; ends with its `parent`, if given."""
    tied = tied_to_parent(parent) if parent else ""
    first = f"import site, sys; sys.path.insert(0, {packages!r}); site.addsitedir({packages!r}); "  # before the host's
    boot = f"{tied}{first}from {module} import main; main()"
    return [python, flags, "-c", boot, json.dumps(argument)]


def tied_to_parent(parent: int) -> str:
    """Python source: the process is killed when its parent ends, and ends where that has happened already."""
    return f"import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); os.getppid() == {parent} or os._exit(1); "


def descendants(pid: int) -> set[int]:
    """`pid` and every process that it has started, and those have, as the host's process table shows it now."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it ended while we looked
        children.setdefault(int(parent), []).append(int(folder.name))
    found, waiting = set(), [pid]
    while waiting:
        found.add(here := waiting.pop())
        waiting += children.get(here, [])
    return found


def fresh_start(fds: Mapping[str, int], plan: Mapping[str, Any]) -> dict[str, Any]:
    """What kernel_ext.start reads in a process of its own."""
    apart = ("channel", "memory")
    sockets = {name: fd for name, fd in fds.items() if name not in apart}
    return {"sockets": sockets, **{name: fds[name] for name in apart}, "plan": plan}


async def spawn(
    program: str, line: list[str], fds: Iterable[int], environment: Mapping[str, str], folder: str | None = None
) -> Process:
    """Starts a child of its own session with these descriptors and nothing else. Raises GatewayError("sandbox")."""
    try:
        return await asyncio.create_subprocess_exec(
            *line,
            executable=program,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            pass_fds=tuple(fds),
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        raise GatewayError("sandbox", f"cannot start `{program}`: {error.strerror}") from error


class ChildProcess:
    """Reads standard error on to its end, so that a talkative kernel never blocks; keeps the last of it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._stderr: deque[bytes] = deque(maxlen=_KEPT_PIECES)
        self._gone = asyncio.create_task(self._end(), name="kernel-end")
        self._reader = asyncio.create_task(self._read_stderr(), name="kernel-stderr")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.pid} {'running' if self.returncode is None else self.returncode}>"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def settled(self) -> None:
        """It was held to its limits before it ran."""

    async def wait(self) -> int:
        """Until the process and all that belongs to it is gone."""
        return await asyncio.shield(self._gone)

    async def _end(self) -> int:
        return await self._process.wait()

    def send_signal(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._process.returncode is None:
                self._process.send_signal(signum)

    def last_words(self) -> str:
        return b"".join(self._stderr).decode(errors="replace")

    def ran_out_of_memory(self) -> bool:
        return False

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(4096):
            self._stderr.append(data)


async def readable(fd: int) -> None:
    """Until `fd` has something to read: for a pidfd, until its process has ended."""
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
