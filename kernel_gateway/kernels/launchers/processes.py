"""A kernel that is a direct child of this process, however it is confined: what all fresh-process launchers share."""

import asyncio
import contextlib
import json
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Iterable, Mapping

from kernel_gateway.errors import GatewayError

_KEPT_PIECES = 40  # of standard error, each at most 4 KiB: enough for one traceback
_BOOT = "import site; site.addsitedir({packages!r}); from kernel_ext.kernel import main; main()"
# Kills the process when its parent ends. The parent may have ended before, and then there is nobody to wait for.
TIED_TO_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); "
    "os.getppid() == int(sys.argv.pop(1)) or os._exit(1); "
)


def kernel_program(packages: str) -> str:
    """Python source that becomes a kernel. Its one argument is what `start_argument` makes."""
    return _BOOT.format(packages=packages)


def start_argument(fds: Mapping[str, int], confinement: Mapping[str, object]) -> str:
    """What kernel_ext.kernel.main reads."""
    sockets = {name: fd for name, fd in fds.items() if name != "channel"}
    return json.dumps({"sockets": sockets, "channel": fds["channel"], **confinement})


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
