"""Our kernel: IPython without what an agent's session never needs, and with the shortest way through a cell."""

import asyncio
import os
import signal
import sys
import threading
from functools import partial
from typing import Any, ClassVar

sys.modules["debugpy"] = None  # type: ignore[assignment]  # before ipykernel: an agent's kernel has no debugger

import zmq
from ipykernel.ipkernel import IPythonKernel
from ipykernel.utils import _async_in_context
from traitlets import Float, Type

from kernel_ext.keeping import Keeper
from kernel_ext.rest import Rest
from kernel_ext.shell import AgentShell

_REFUSED = frozenset(
    {
        "debug_request",
        "usage_request",
        "create_subshell_request",
        "delete_subshell_request",
        "list_subshell_request",
    }
)


class NoShellChannel:
    """Stands for ipykernel's shell-channel thread, which only subshells need: requests come to the main thread itself.

    It is false, as None would be; ipykernel asks even None for the thread that runs cells.
    """

    def __init__(self) -> None:
        self.parent_thread = threading.main_thread()

    def __bool__(self) -> bool:
        return False


class AgentKernel(IPythonKernel):  # type: ignore[misc]
    """No debugger, no subshells, no usage figures of the host."""

    implementation = "agent-kernel"
    rest: Rest | None = None
    keeper: Keeper | None = None
    shell_class = Type(AgentShell)
    # A pause before every reply, for clients that stop listening at the reply; the gateway listens until idle.
    _execute_sleep = Float(0.0)
    _supports_kernel_subshells = False
    control_msg_types: ClassVar[list[str]] = [each for each in IPythonKernel.control_msg_types if each not in _REFUSED]

    @property
    def kernel_info(self) -> dict[str, Any]:
        """Without the features of ipykernel whose requests are refused here: a front end would wait for replies."""
        return {**super().kernel_info, "supported_features": []}

    async def rehearse(self) -> None:
        """One request of its own through every step of the way, so that a session's first cell finds them trodden.

        Nobody is addressed: its reply has no receiver, and the gateway drops what it did not ask for.
        """
        content = {"code": "None", "silent": False, "store_history": False, "allow_stdin": False}
        parts = self.session.serialize(self.session.msg("execute_request", content), [b"nobody"])
        await self.shell_main(None, [zmq.Frame(part) for part in parts])
        if self.rest is not None:
            self.rest.disturb()  # whoever takes this kernel finds its pages where the rehearsal put them

    def pre_handler_hook(self) -> None:
        self.saved_sigint_handler = signal.signal(signal.SIGINT, self.iopub_thread.on_interrupt)

    async def execute_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Always replies: an interrupt may hit what ipykernel does around the cell's code, and would leave no reply."""
        if self.rest is not None:
            self.rest.disturb()
        after = self.shell.execution_count + 1
        try:
            await super().execute_request(stream, ident, parent)
        except KeyboardInterrupt:
            self.shell.execution_count = after
            content = {"status": "error", "ename": "KeyboardInterrupt", "evalue": "", "traceback": []}
            self.session.send(stream, "execute_reply", content, parent, ident=ident)
        finally:
            if self.keeper is not None and (code := parent["content"].get("code")):
                self.keeper.ran(after - 1, code)
            if self.rest is not None:
                self.rest.soon()

    def _abort_queues(self, subshell_id: str | None = None) -> None:
        """What waits behind a failed cell is aborted; the sign that ends it goes the way of a request, behind them."""
        self._aborting = True
        self.shell_stream.flush()
        in_turn = _async_in_context(partial(self.shell_main, None))
        self._end_of_aborting = asyncio.ensure_future(in_turn([zmq.Frame(b"stop aborting")]))

    def _send_interrupt_children(self) -> None:
        """There are none: a kernel starts no process, and may signal only itself."""
        os.kill(os.getpid(), signal.SIGINT)

    async def interrupt_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Also wakes a cell that sleeps in `await`: ipykernel's signal handler leaves a note that nothing looks at."""
        await super().interrupt_request(stream, ident, parent)
        self.io_loop.add_callback(lambda: None)
