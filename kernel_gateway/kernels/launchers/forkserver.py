"""Kernels forked from one warmed template process, which itself runs inside bubblewrap.

bubblewrap's walls stand around the template; each child builds its own inside them. The template is asked over one
socket and never sees a secret: a child gets its sockets by inheritance and its identity at the claim.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.launchers import KernelProcess
from kernel_gateway.kernels.launchers.bwrap import enter
from kernel_gateway.kernels.launchers.cgrouped import CgroupedProcess, KernelCgroups
from kernel_gateway.kernels.launchers.processes import python_command
from kernel_gateway.kernels.launchers.template import ForkedKernel, Template
from kernel_gateway.sandbox.spec import IMAGE, SandboxSpec

log = logging.getLogger(__name__)


class ForkserverLauncher:
    """One template, started with the first kernel and again after it died. `close` ends it and all its kernels."""

    name = "forkserver"

    def __init__(
        self, spec: SandboxSpec, preload: Sequence[str], start_seconds: float, cgroups: KernelCgroups | None = None
    ) -> None:
        self._spec, self._preload, self._start_seconds, self._cgroups = spec, preload, start_seconds, cgroups
        self._template: Template | None = None
        self._booting = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<ForkserverLauncher image={self._spec.image_digest[:12]} {self._template or 'no template yet'}>"

    async def launch(self, fds: Mapping[str, int]) -> ForkedKernel:
        return await (await self._living()).fork(fds)

    async def close(self) -> None:
        async with self._booting:
            if self._template is not None:
                await self._template.close()

    async def _living(self) -> Template:
        async with self._booting:
            if self._template is None or self._template.dead.done():
                self._template = await self._boot()
            return self._template

    async def _boot(self) -> Template:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        argument = {
            "control": theirs.fileno(),
            "preload": list(self._preload),
            "plan": self._spec.plan(self.name),
            "filter": self._spec.template_filter(self.name).hex(),
        }
        try:
            process = await self._held(await self._enter(argument))
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
            log.error("template did not start: %s", words)
            raise GatewayError(
                "sandbox", "the template did not start; `kernel-gateway check` says what is missing"
            ) from None
        return template

    async def _held(self, process: KernelProcess) -> KernelProcess:
        """In a cgroup of its own, where there are any. Its children are born in it, and leave it for theirs."""
        if self._cgroups is None:
            return process
        held = process
        try:
            held = CgroupedProcess(process, self._cgroups.create())
            await held.settled()
        except BaseException:
            held.send_signal(signal.SIGKILL)
            await held.wait()
            raise
        return held

    async def _enter(self, argument: Mapping[str, Any]) -> KernelProcess:
        command = python_command(str(self._spec.python), str(IMAGE), "kernel_ext.template", argument)
        return await enter(self._spec, command, [argument["control"]], template=True)
