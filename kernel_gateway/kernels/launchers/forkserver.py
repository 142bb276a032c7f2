"""Kernels forked from one warmed template process, which itself runs inside bubblewrap.

bubblewrap's walls stand around the template; each child builds its own inside them. The template is asked over one
socket and never sees a secret: a child gets its sockets by inheritance and its identity at the claim.
"""

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
from kernel_gateway.kernels.launchers.bwrap import BwrapProcess, enter, readable
from kernel_gateway.kernels.launchers.processes import python_command
from kernel_gateway.sandbox.spec import IMAGE, SandboxSpec

_NEWS_BYTES = 4096
_LATE_STATUS_SECONDS = 1.0  # a child's exit status follows its end; it is missing where the template died first


class ForkedKernel:
    """A kernel that the gateway knows by pidfd and is no parent of; the template says its exit status."""

    def __init__(self, pidfd: int, status: "asyncio.Future[int]", template: BwrapProcess) -> None:
        self.pid = _pid_of(pidfd)
        self.returncode: int | None = None
        self._pidfd, self._status, self._template = pidfd, status, template
        self._gone = asyncio.create_task(self._wait(), name="forked-kernel-end")

    def __repr__(self) -> str:
        return f"<ForkedKernel {self.pid} {'running' if self.returncode is None else self.returncode}>"

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
        await asyncio.wait({self._status}, timeout=_LATE_STATUS_SECONDS)
        told = self._status.done() and not self._status.cancelled()
        self.returncode = self._status.result() if told else -signal.SIGKILL
        return self.returncode


class Template:
    """The gateway's end of a template. `dead` resolves when it can fork no more."""

    def __init__(self, process: BwrapProcess, control: socket.socket) -> None:
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

    async def fork(self, fds: Mapping[str, int]) -> ForkedKernel:
        """Raises GatewayError("sandbox")."""
        loop = asyncio.get_running_loop()
        id_ = next(self._ids)
        asked, status = loop.create_future(), loop.create_future()
        self._asked[id_], self._statuses[id_] = asked, status
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds.values()))
        try:
            self._control.sendmsg([json.dumps({"id": id_, "names": list(fds)}).encode()], [rights])
        except OSError as error:
            self._forget(id_)
            raise GatewayError("sandbox", f"the template takes no request: {error.strerror}") from error
        try:
            pidfd = await asked
        except BaseException:
            self._statuses.pop(id_, None)
            raise
        return ForkedKernel(pidfd, status, self._process)

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
        elif "failed" in news:
            asked.set_exception(GatewayError("sandbox", f"the template cannot fork: {news['failed']}"))
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


class ForkserverLauncher:
    """One template, started with the first kernel and again after it died. `close` ends it and all its kernels."""

    name = "forkserver"

    def __init__(self, spec: SandboxSpec, preload: Sequence[str], start_seconds: float) -> None:
        self._spec, self._preload, self._start_seconds = spec, preload, start_seconds
        self._template: Template | None = None
        self._booting = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<ForkserverLauncher image={self._spec.image_digest[:12]} {self._template or 'no template yet'}>"

    async def launch(self, fds: Mapping[str, int]) -> ForkedKernel:
        async with self._booting:
            if self._template is None or self._template.dead.done():
                self._template = await self._boot()
        return await self._template.fork(fds)

    async def close(self) -> None:
        async with self._booting:
            if self._template is not None:
                await self._template.close()

    async def _boot(self) -> Template:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        argument = {
            "control": theirs.fileno(),
            "preload": list(self._preload),
            "plan": self._spec.plan(self.name),
            "filter": self._spec.template_filter().hex(),
        }
        try:
            command = python_command(str(self._spec.python), str(IMAGE), "kernel_ext.template", argument)
            process = await enter(self._spec, command, [theirs.fileno()], template=True)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        template = Template(process, ours)
        try:
            await asyncio.wait_for(asyncio.shield(template.ready), self._start_seconds)
        except (TimeoutError, asyncio.CancelledError) as error:
            words = template.last_words()
            stopped = isinstance(error, asyncio.CancelledError) and not template.ready.cancelled()
            await template.close()
            if stopped:
                raise
            raise GatewayError("sandbox", f"the template did not start: {words.strip()[-300:]}") from None
        return template


def _pid_of(pidfd: int) -> int:
    """In this process's namespace; -1 where it has ended already (proc_pid_fdinfo(5))."""
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="ascii").splitlines()
    return next((int(line.partition(":")[2]) for line in lines if line.startswith("Pid:")), -1)
