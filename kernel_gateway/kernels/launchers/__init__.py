"""How a sandboxed process is started. Every launcher takes the same spec and gives the same verbs."""

from collections.abc import Mapping
from typing import Protocol


class KernelProcess(Protocol):
    """A launched kernel, in the words of subprocess.Popen."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def settled(self) -> None:
        """Until the host holds it to its limits; before that it runs nobody's code. Raises GatewayError("sandbox")."""
        ...

    async def wait(self) -> int: ...

    def send_signal(self, signum: int) -> None: ...

    def last_words(self) -> str:
        """The end of what the process wrote to its standard error: for the host's log, never for a caller."""
        ...

    def ran_out_of_memory(self) -> bool:
        """Whether the host has ended it for want of memory. Known once `wait` has returned; never without a cgroup."""
        ...


class Launcher(Protocol):
    """`launch` starts one kernel whose sockets are the given descriptors. Raises GatewayError("sandbox").

    `close` ends what the launcher itself keeps running, and with a template every kernel that was forked from it.
    """

    @property
    def name(self) -> str: ...

    async def launch(self, fds: Mapping[str, int]) -> KernelProcess: ...

    async def close(self) -> None: ...
