"""The gateway's end of a template: asks it for kernels over one socket, and holds each by a pidfd."""

import array
import asyncio
import itertools
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.launchers import KernelProcess
from kernel_gateway.kernels.launchers.processes import readable
from kernel_gateway.sandbox.owned import remove

_NEWS_BYTES = 4096
_LATE_STATUS_SECONDS = 1.0  # a child's exit status follows its end; it is missing where the template died first


class ForkedKernel:
    """A kernel that the gateway knows by pidfd and is no parent of; the template says its exit status."""

    def __init__(
        self, pidfd: int, status: "asyncio.Future[int]", template: KernelProcess, home: Path | None = None
    ) -> None:
        self.pid = _pid_of(pidfd)
        self.returncode: int | None = None
        self._pidfd, self._status, self._template, self._home = pidfd, status, template, home
        self._gone = asyncio.create_task(self._wait(), name="forked-kernel-end")

    def __repr__(self) -> str:
        return f"<ForkedKernel {self.pid} {'running' if self.returncode is None else self.returncode}>"

    async def settled(self) -> None:
        """It was held to its limits before it ran."""

    async def wait(self) -> int:
        return await asyncio.shield(self._gone)

    def send_signal(self, signum: int) -> None:
        with suppress(ProcessLookupError):
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, signum)

    def last_words(self) -> str:
        """What the template and its children wrote: they share one standard error."""
        return self._template.last_words()

    def ran_out_of_memory(self) -> bool:
        return False

    async def _wait(self) -> int:
        await readable(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        if self._home is not None:
            await asyncio.to_thread(remove, self._home)
        await asyncio.wait({self._status}, timeout=_LATE_STATUS_SECONDS)
        told = self._status.done() and not self._status.cancelled()
        self.returncode = self._status.result() if told else -signal.SIGKILL
        return self.returncode


class Template:
    """The gateway's end of a template. `dead` resolves when it can fork no more."""

    def __init__(self, process: KernelProcess, control: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.dead: asyncio.Future[None] = loop.create_future()
        self.ready: asyncio.Future[None] = loop.create_future()
        self._process, self._control = process, control
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[int]] = {}
        self._statuses: dict[int, asyncio.Future[int]] = {}
        loop.add_reader(control.fileno(), self._hear)

    def __repr__(self) -> str:
        return f"<Template {self._process.pid} {'dead' if self.dead.done() else f'{len(self._statuses)} kernels'}>"

    async def fork(
        self, fds: Mapping[str, int], home: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> ForkedKernel:
        """A child with these descriptors. `home` is a folder of the host that is the child's, where it has no other.

        It is removed with the kernel. Raises GatewayError("sandbox").
        """
        loop = asyncio.get_running_loop()
        id_ = next(self._ids)
        asked, status = loop.create_future(), loop.create_future()
        self._asked[id_], self._statuses[id_] = asked, status
        request: dict[str, Any] = {"id": id_, "names": list(fds)}
        if home is not None:
            request |= {"home": str(home), "environment": dict(environment or {})}
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds.values()))
        try:
            self._control.sendmsg([json.dumps(request).encode()], [rights])
        except OSError as error:
            self._forget(id_)
            raise GatewayError("sandbox", f"the template takes no request: {error.strerror}") from error
        try:
            pidfd = await asked
        except BaseException:
            self._statuses.pop(id_, None)
            raise
        return ForkedKernel(pidfd, status, self._process, home)

    async def close(self) -> None:
        self._end()
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    def last_words(self) -> str:
        return self._process.last_words()

    def _hear(self) -> None:
        try:
            while True:
                data, fds, _, _ = socket.recv_fds(self._control, _NEWS_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
                if not data:
                    break
                self._take(json.loads(data), fds)
        except BlockingIOError:
            return
        except OSError:
            pass
        self._end()

    def _take(self, news: dict[str, Any], fds: Sequence[int]) -> None:
        if "ready" in news:
            self.ready.set_result(None)
            return
        id_ = news["id"]
        if "status" in news:
            status = self._statuses.pop(id_, None)
            if status is not None:
                status.set_result(news["status"])
            return
        asked = self._asked.pop(id_)
        if asked.done():  # whoever asked is gone: nobody would ever end this kernel
            for fd in fds:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                os.close(fd)
        elif not fds:
            reason = news.get("failed", "its answer found no free descriptor here")
            asked.set_exception(GatewayError("sandbox", f"the template cannot fork: {reason}"))
        else:
            asked.set_result(fds[0])

    def _forget(self, id_: int) -> None:
        self._asked.pop(id_)
        self._statuses.pop(id_)

    def _end(self) -> None:
        if self.dead.done():
            return
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self._control.close()
        self.dead.set_result(None)
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(GatewayError("sandbox", "the template ended; send the cell again"))
        for status in self._statuses.values():
            status.cancel()
        if not self.ready.done():
            self.ready.cancel()


def _pid_of(pidfd: int) -> int:
    """In this process's namespace; -1 where it has ended already (proc_pid_fdinfo(5))."""
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="ascii").splitlines()
    return next((int(line.partition(":")[2]) for line in lines if line.startswith("Pid:")), -1)
