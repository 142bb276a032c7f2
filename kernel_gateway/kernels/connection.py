"""Our three streams to one kernel: a cell goes out, what the kernel says about it comes in."""

import asyncio
import secrets

from kernel_gateway.kernels.messages import Signer
from kernel_gateway.kernels.outputs import Outputs
from kernel_gateway.kernels.run import Run
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.kernels.shares import Portion
from kernel_gateway.kernels.sockets import KernelSockets
from kernel_gateway.kernels.stream import Stream
from kernel_gateway.kernels.zmtp import SUBSCRIBE_TO_ALL, Bounds


class Connection:
    """`welcomed` resolves when the kernel has seen our subscription: a cell sent before it could lose its idle message.

    `lost` resolves when the kernel's end of a stream is gone or broke the protocol. `key` comes with the claim.
    """

    def __init__(self, settings: KernelSettings, portion: Portion) -> None:
        self._loop = asyncio.get_running_loop()
        self.welcomed: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._settings = settings
        bounds = Bounds(settings.max_message_bytes, settings.max_message_parts)
        self._shell = Stream("shell", "DEALER", bounds, portion, self._on_shell, self._on_lost)
        self._iopub = Stream("iopub", "SUB", bounds, portion, self._on_iopub, self._on_lost)
        self._control = Stream("control", "DEALER", bounds, portion, lambda _: None, self._on_lost)
        self._signer: Signer | None = None
        self._run: Run | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.lost.result() if self.lost.done() else self._run or 'idle'}>"

    async def open(self, sockets: KernelSockets) -> None:
        """The sockets listen already, so this waits for nothing that a kernel does."""
        await self._shell.connect(sockets.path("shell"))
        await self._iopub.connect(sockets.path("iopub"))
        await self._control.connect(sockets.path("control"))
        self._iopub.send([SUBSCRIBE_TO_ALL])

    def identify(self, key: bytes) -> None:
        """With the key that the kernel got with its claim."""
        self._signer = Signer(key)

    @property
    def is_identified(self) -> bool:
        return self._signer is not None

    def execute(self, code: str, outputs: Outputs) -> Run:
        """Sends a cell. What comes from now on belongs to it, or to nobody; the caller bounds the time, and closes."""
        id_ = secrets.token_hex(16)
        signer = self._identity()
        self._run = Run(id_, signer, outputs, self._settings)
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        self._shell.send(signer.request("execute_request", content, id_))
        return self._run

    def finish(self, run: Run) -> None:
        """What still comes for it is dropped unparsed."""
        run.close()
        if self._run is run:
            self._run = None

    def interrupt(self) -> None:
        self._control.send(self._identity().request("interrupt_request", {}, secrets.token_hex(16)))

    def close(self) -> None:
        for stream in (self._shell, self._iopub, self._control):
            stream.close()
        self.welcomed.cancel()
        self.lost.cancel()

    def _identity(self) -> Signer:
        assert self._signer is not None
        return self._signer

    def _on_iopub(self, parts: list[bytes]) -> None:
        if not self.welcomed.done():
            self.welcomed.set_result(None)  # whatever it is: nothing arrives without a subscription
        if self._run is not None:
            self._run.on_iopub(parts, self._loop.time())

    def _on_shell(self, parts: list[bytes]) -> None:
        if self._run is not None:
            self._run.on_shell(parts)

    def _on_lost(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)
