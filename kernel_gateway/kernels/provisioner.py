"""jupyter_client's seam for a kernel's process: the same verbs over any launcher, nothing of the host's environment.

Sockets are opened here and inherited, so no connection file is written and the key is on no disk.
"""

import signal
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from kernel_gateway.kernels.launchers import KernelProcess, Launcher
from kernel_gateway.kernels.sockets import KernelSockets

KERNEL_NAME = "agent"


class SandboxProvisioner(KernelProvisionerBase):
    """One kernel in one sandbox. `launcher` is set by whoever builds it."""

    def __init__(self, launcher: Launcher, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.launcher = launcher
        self.sockets: KernelSockets | None = None
        self.process: KernelProcess | None = None

    @property
    def has_process(self) -> bool:
        return self.process is not None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Called by the manager before launch_kernel. The caller's environment is dropped: a sandbox inherits none."""
        self.sockets = KernelSockets.open()
        return {"cmd": [], "env": {}}

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        assert self.sockets is not None
        assert self.parent is not None
        try:
            self.process = await self.launcher.launch(self.sockets.fds())
        except BaseException:
            self.sockets.close()
            raise
        self.sockets.release()
        self.connection_info = {
            "transport": "ipc",
            "ip": str(self.sockets.folder / "k"),
            "shell_port": 1,
            "iopub_port": 2,
            "stdin_port": 3,
            "hb_port": 4,
            "control_port": 5,
            "key": self.parent.session.key,
            "signature_scheme": self.parent.session.signature_scheme,
        }
        return self.connection_info

    async def poll(self) -> int | None:
        return 0 if self.process is None else self.process.returncode

    async def wait(self) -> int | None:
        if self.process is None:
            return 0
        code = await self.process.wait()
        self.process = None
        return code

    async def send_signal(self, signum: int) -> None:
        if self.process is not None:
            self.process.send_signal(signum)

    async def kill(self, restart: bool = False) -> None:
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        # Inside its pid namespace a kernel does not see SIGTERM; the sandbox is stopped from outside.
        await self.send_signal(signal.SIGKILL)

    async def cleanup(self, restart: bool = False) -> None:
        if self.sockets is not None:
            self.sockets.close()
            self.sockets = None


class AgentKernelSpecs(KernelSpecManager):
    """The one kernelspec there is. The launcher knows the command line, so `argv` is empty."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(argv=[], display_name="Agent kernel", language="python", interrupt_mode="message")


class SandboxKernelManager(AsyncKernelManager):
    """AsyncKernelManager over SandboxProvisioner; writes no connection file."""

    client_class = "jupyter_client.asynchronous.client.AsyncKernelClient"
    client_factory = AsyncKernelClient

    def __init__(self, launcher: Launcher, **kwargs: Any) -> None:
        super().__init__(kernel_name=KERNEL_NAME, kernel_spec_manager=AgentKernelSpecs(), transport="ipc", **kwargs)
        self.kernel_id = ""
        self.provisioner = SandboxProvisioner(launcher, kernel_id="", kernel_spec=self.kernel_spec, parent=self)

    @property
    def sandbox(self) -> SandboxProvisioner:
        assert isinstance(self.provisioner, SandboxProvisioner)
        return self.provisioner

    def _connect_control_socket(self) -> None:
        """The manager would open one that nobody reads and nothing bounds; a sandbox is stopped by its launcher."""

    def write_connection_file(self, **_: Any) -> None:
        """Nothing is written: the key stays in memory."""

    def _reconcile_connection_info(self, info: KernelConnectionInfo) -> None:
        self.load_connection_info(info)
