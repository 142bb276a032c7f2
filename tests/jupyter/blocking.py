"""Our sandboxed kernel for whoever knows only Jupyter: jupyter_client's blocking manager and client over any launcher.

The manager's verbs run on loops of their own that stop between calls; a kernel's process and its sixth channel need
one that goes on, so they live on a loop in a thread.
"""

import asyncio
import functools
import json
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from kernel_ext.wire import Kind, Limits, Message
from kernel_gateway.kernels.bridge import Bridge
from kernel_gateway.kernels.launchers import Launcher
from kernel_gateway.kernels.provisioner import AgentKernelSpecs, SandboxProvisioner
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.kernels.shares import Portion, Shares
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.settings import Settings

T = TypeVar("T")


class LoopThread:
    """An event loop that runs until the interpreter ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="kernels", daemon=True).start()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


KERNELS = LoopThread()


@functools.cache
def launcher_of(settings: str) -> Launcher:
    """One for all kernels of this process, with whose end its template ends."""
    return kernel_launcher(Settings.of(json.loads(settings)))


async def refuse(message: Message) -> Message:
    return Message(Kind.ERROR, message.id, {"code": "denied", "message": "nothing may be called here"})


class ClaimedProvisioner(SandboxProvisioner):
    """Starts a kernel and claims it with its manager's own key: whoever has the connection file may speak to it."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        return await KERNELS.run(self._launch_claimed(cmd))

    async def _launch_claimed(self, cmd: list[str]) -> Any:
        info = await super().launch_kernel(cmd)
        shares = Shares(KernelSettings())
        self.bridge = Bridge(self.sockets.channel, Limits(), 1, 1, Portion(shares.loop), shares.blobs, shares.unwritten)
        await self.bridge.ready
        key = self.parent.session.key.decode()
        claim = {"key": key, "manifest": {"version": 1, "servers": {}}, "execution_count": 1}
        await self.bridge.claim(claim, refuse)
        return info

    async def wait(self) -> int | None:
        return await KERNELS.run(super().wait())

    async def send_signal(self, signum: int) -> None:
        await KERNELS.run(super().send_signal(signum))

    async def cleanup(self, restart: bool = False) -> None:
        await KERNELS.run(self.bridge.close())
        await super().cleanup(restart)


class SandboxedKernelManager(KernelManager):
    """KernelManager, with every habit of jupyter_client's but the process. `settings` choose the launcher."""

    settings: dict[str, Any] = {}  # noqa: RUF012 -- shared on purpose: a suite constructs managers with a name only

    def __init__(self, **kwargs: Any) -> None:
        kwargs["kernel_spec_manager"] = AgentKernelSpecs()
        super().__init__(**kwargs, transport="ipc")
        launcher = launcher_of(json.dumps(self.settings))
        self.provisioner = ClaimedProvisioner(launcher, kernel_id="", kernel_spec=self.kernel_spec, parent=self)

    @property
    def kernel_spec(self) -> KernelSpec:
        return self.kernel_spec_manager.get_kernel_spec(self.kernel_name)
