"""One live kernel: its process, its sixth channel and its Jupyter connection, as one thing with few verbs."""

import asyncio
import contextlib
import logging
import secrets
import signal
from dataclasses import dataclass
from typing import Any

import zmq.asyncio

from kernel_ext.wire import Limits
from kernel_gateway.crash import places
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.bridge import BROKE_PROTOCOL, Bridge, Handler
from kernel_gateway.kernels.connection import Connection
from kernel_gateway.kernels.launchers import Launcher
from kernel_gateway.kernels.outputs import Outputs
from kernel_gateway.kernels.provisioner import SandboxKernelManager
from kernel_gateway.kernels.settings import KernelSettings

log = logging.getLogger(__name__)

KILL_SECONDS = 5.0  # SIGKILL takes milliseconds; a process the host cannot kill must not hold up the others
INTERRUPT_AGAIN_SECONDS = 1.0  # one interrupt can be lost between two bytecodes of the kernel itself


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended, as the gateway saw it: ok, error, timeout, interrupted or lost (then `cause` says why)."""

    status: str
    outputs: Outputs
    cause: str = ""


class Kernel:
    """Started without identity; `claim` makes it a session's.

    `died` resolves with the cause, once; `gone` when nothing of it is left: no process, socket, file or task.
    """

    def __init__(self, manager: SandboxKernelManager, settings: KernelSettings, context: zmq.asyncio.Context) -> None:
        self._manager, self._settings, self._context = manager, settings, context
        loop = asyncio.get_running_loop()
        self.died: asyncio.Future[str] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self._connection: Connection | None = None
        self._cleanup: asyncio.Task[None] | None = None
        sandbox = manager.sandbox
        assert sandbox.sockets is not None
        assert sandbox.process is not None
        self._sockets, self._process = sandbox.sockets, sandbox.process
        limits = Limits(max_body_bytes=settings.max_blob_bytes)
        self._bridge = Bridge(
            self._sockets.channel, limits, settings.max_concurrent_requests, settings.max_concurrent_reads
        )
        self._watcher = asyncio.create_task(self._watch(), name="kernel-watch")

    def __repr__(self) -> str:
        state = f"dead: {self.died.result()}" if self.died.done() else "claimed" if self._connection else "ready"
        return f"<Kernel pid={self._process.pid} {state}>"

    @classmethod
    async def start(cls, launcher: Launcher, settings: KernelSettings, context: zmq.asyncio.Context) -> "Kernel":
        """A kernel nobody has claimed. Raises GatewayError("sandbox") where it does not come up in time."""
        manager = SandboxKernelManager(launcher, context=context)
        try:
            await manager.start_kernel()
        except BaseException:
            await manager.sandbox.kill()
            await manager.cleanup_resources()
            raise
        kernel = cls(manager, settings, context)
        try:
            await asyncio.wait_for(asyncio.shield(kernel._bridge.ready), settings.start_seconds)
        except (TimeoutError, asyncio.CancelledError) as error:
            words = kernel._process.last_words()
            cancelled = isinstance(error, asyncio.CancelledError) and not kernel._bridge.ready.cancelled()
            await kernel.stop()
            if cancelled:
                raise
            log.error("kernel did not start: %s", words)
            raise GatewayError(
                "sandbox", "the kernel did not start; `kernel-gateway check` says what is missing"
            ) from None
        return kernel

    async def claim(self, manifest: dict[str, Any], handler: Handler, execution_count: int) -> None:
        """Gives the kernel its key, its client and its place in the session's count. Raises GatewayError("sandbox")."""
        try:
            await self._claim(manifest, handler, execution_count)
        except (TimeoutError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not self._bridge.broken.done():
                raise
            message = "the kernel ended before a session could have it; send the cell again"
            raise GatewayError("sandbox", message) from None

    async def _claim(self, manifest: dict[str, Any], handler: Handler, execution_count: int) -> None:
        key = secrets.token_hex(32)
        self._manager.session.key = key.encode()
        head = {"key": key, "manifest": manifest, "execution_count": execution_count}
        await asyncio.wait_for(self._bridge.claim(head, handler), self._settings.start_seconds)
        self._connection = Connection(self._sockets, self._manager.session, self._settings, self._context)
        await asyncio.wait_for(self._connection.welcomed(), self._settings.start_seconds)

    async def run(self, code: str, deadline_seconds: float, stop: "asyncio.Future[None]") -> Outcome:
        """Runs a cell. At the deadline, or when `stop` is set, it is interrupted; if it goes on its kernel is killed.

        Never raises for what the cell or the kernel does.
        """
        connection = self._connection
        assert connection is not None
        outputs = Outputs(self._settings.max_text_bytes, self._settings.max_images)
        if stop.done():
            return Outcome("interrupted", outputs)
        run = asyncio.create_task(connection.run(code, outputs))
        ends: set[asyncio.Future[Any]] = {run, self.died, connection.lost}
        try:
            await asyncio.wait(ends | {stop}, timeout=deadline_seconds, return_when=asyncio.FIRST_COMPLETED)
            stopped = "interrupted" if stop.done() else "timeout"
            early = any(end.done() for end in ends)
            if not early:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._insist(connection, ends), self._settings.interrupt_grace_seconds)
            if run.done() and not self.died.done():
                if (error := run.exception()) is not None:
                    log.error("reading the kernel's answer failed: %s", places(error))
                    return Outcome("error", outputs)
                return Outcome(run.result().status if early else stopped, outputs)
            if connection.lost.done():
                await asyncio.wait({self.died}, timeout=self._settings.idle_grace_seconds)
            await self.stop(connection.lost.result() if connection.lost.done() else "it ignored the interrupt")
            return Outcome("lost" if early else stopped, outputs, self.died.result())
        finally:
            run.cancel()

    async def _insist(self, connection: Connection, ends: set[asyncio.Future[Any]]) -> None:
        """Interrupts until one of `ends`. A kernel ignores what comes before its cell begins, so that is waited for."""
        await asyncio.wait({connection.began, *ends}, return_when=asyncio.FIRST_COMPLETED)
        while not any(end.done() for end in ends):
            connection.interrupt()
            await asyncio.wait(ends, timeout=INTERRUPT_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)

    async def stop(self, cause: str = "it was stopped") -> None:
        """Kills the sandbox and everything in it. Idempotent; the first cause stands."""
        if not self.died.done():
            self.died.set_result(cause)
        self._process.send_signal(signal.SIGKILL)
        if self._cleanup is None:
            self._cleanup = asyncio.create_task(self._clean(), name="kernel-cleanup")
        await asyncio.shield(self._cleanup)

    async def _clean(self) -> None:
        _, alive = await asyncio.wait({self._watcher}, timeout=KILL_SECONDS)
        if alive:
            log.error("a killed kernel is still there after %g s: %r", KILL_SECONDS, self._process)
        await self._bridge.close()
        if self._connection is not None:
            self._connection.close()
        await self._manager.cleanup_resources()
        self.gone.set_result(None)

    async def _watch(self) -> None:
        """Until the process is gone. A kernel that closes or breaks its channel is finished: it could call nothing."""
        exited = asyncio.create_task(self._process.wait())
        broken = self._bridge.broken
        watched: set[asyncio.Future[Any]] = {exited, broken}
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        # The channel of a dying kernel closes a moment before its exit status is known.
        await asyncio.wait({exited}, timeout=self._settings.idle_grace_seconds)
        if not exited.done() and not self.died.done():
            self.died.set_result(broken.result())
            self._process.send_signal(signal.SIGKILL)
        code = await exited
        if not self.died.done():
            reason = broken.result() if broken.done() else ""
            self.died.set_result(
                reason if BROKE_PROTOCOL in reason else describe_exit(code, self._process.ran_out_of_memory())
            )


def describe_exit(code: int, ran_out_of_memory: bool = False) -> str:
    """The cause in words, honest about what is not known. bwrap reports a signal of its child as 128 + n."""
    if ran_out_of_memory:
        return "it ran out of memory and was killed for it; keep less in variables at once"
    number = -code if code < 0 else code - 128 if code > 128 else 0
    if number == signal.SIGKILL:
        return "it was killed (SIGKILL, or so its exit status says), possibly because it ran out of memory"
    if number:
        try:
            return f"it was ended by {signal.Signals(number).name}"
        except ValueError:
            return f"it was ended by signal {number}"
    return f"its process exited with status {code}"
