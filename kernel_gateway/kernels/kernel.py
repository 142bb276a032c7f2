"""One live kernel: its process, its sixth channel and its Jupyter connection, as one thing with few verbs."""

import asyncio
import contextlib
import logging
import secrets
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kernel_ext.wire import Limits
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.bridge import BROKE_PROTOCOL, Bridge, Handler
from kernel_gateway.kernels.connection import Connection
from kernel_gateway.kernels.deadline import Deadline
from kernel_gateway.kernels.keeping import Order, Sink
from kernel_gateway.kernels.launchers import KernelProcess, Launcher
from kernel_gateway.kernels.memory import MemoryFile
from kernel_gateway.kernels.outputs import Outputs
from kernel_gateway.kernels.run import Run
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.kernels.shares import Portion, Shares
from kernel_gateway.kernels.sockets import KernelSockets

log = logging.getLogger(__name__)

KILL_SECONDS = 5.0  # SIGKILL takes milliseconds; a process the host cannot kill must not hold up the others
YIELD_SECONDS = 0.2  # that a kernel has to stop saving, before what it is doing is interrupted
SAVE_GRACE_SECONDS = 5.0  # beyond its budget, at which it only looks in between: for one large chunk on a loaded host
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

    def __init__(
        self,
        process: KernelProcess,
        sockets: KernelSockets,
        connection: Connection,
        bridge: Bridge,
        settings: KernelSettings,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.died: asyncio.Future[str] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self._process, self._sockets, self._connection, self._settings = process, sockets, connection, settings
        self._bridge = bridge
        self.was_stopped = False  # by us; else it ended by itself
        self._cleanup: asyncio.Task[None] | None = None
        self._watcher = asyncio.create_task(self._watch(), name="kernel-watch")

    def __repr__(self) -> str:
        alive = "claimed" if self._connection.is_identified else "ready"
        state = f"dead: {self.died.result()}" if self.died.done() else alive
        return f"<Kernel pid={self._process.pid} {state}>"

    @classmethod
    async def start(cls, launcher: Launcher, settings: KernelSettings, shares: Shares | None = None) -> "Kernel":
        """A kernel nobody has claimed. Raises GatewayError("sandbox") where it does not come up in time.

        `shares` is what it has in common with the others of its gateway; alone it has its own.
        """
        shares = shares or Shares(settings)
        portion = Portion(shares.loop)
        sockets, connection = KernelSockets.open(), Connection(settings, portion)
        try:
            await connection.open(sockets)
            process = await launcher.launch(sockets.fds())
        except BaseException:
            connection.close()
            sockets.close()
            raise
        sockets.release()
        limits = Limits(max_body_bytes=settings.max_blob_bytes)
        most, most_reads = settings.max_concurrent_requests, settings.max_concurrent_reads
        bridge = Bridge(sockets.channel, limits, most, most_reads, portion, shares.blobs, shares.unwritten)
        kernel = cls(process, sockets, connection, bridge, settings)
        try:
            async with asyncio.timeout(settings.start_seconds):
                is_up = await kernel._is_up()
                await process.settled()
        except TimeoutError:
            is_up = False
        except BaseException:
            await kernel.stop()
            raise
        if not is_up:
            words = process.last_words()
            await kernel.stop()
            log.error("kernel did not start: %s", words)
            raise GatewayError("sandbox", "the kernel did not start; `kernel-gateway check` says what is missing")
        return kernel

    async def _is_up(self) -> bool:
        """Once it has said so and heard us, or died."""
        for sign in (self._bridge.ready, self._connection.welcomed):
            await asyncio.wait({sign, self.died}, return_when=asyncio.FIRST_COMPLETED)
        return not self.died.done() and not self._bridge.ready.cancelled()

    async def claim(self, manifest: dict[str, Any], handler: Handler, execution_count: int) -> None:
        """Gives the kernel its key, its client and its place in the session's count. Raises GatewayError("sandbox").

        One question and answer over the sixth channel: all that takes longer came with the start.
        """
        key = secrets.token_hex(32)
        head = {"key": key, "manifest": manifest, "execution_count": execution_count}
        try:
            await asyncio.wait_for(self._bridge.claim(head, handler), self._settings.start_seconds)
        except (TimeoutError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not self._bridge.broken.done():
                raise
            message = "the kernel ended before a session could have it; send the cell again"
            raise GatewayError("sandbox", message) from None
        self._connection.identify(key.encode())

    async def run(self, code: str, deadline: Deadline | float, stop: "asyncio.Future[None]") -> Outcome:
        """Runs a cell. At the deadline, or when `stop` is set, it is interrupted; if it goes on its kernel is killed.

        A deadline in seconds is one that nobody stops. Never raises for what the cell or the kernel does.
        """
        outputs = Outputs(self._settings.max_text_bytes, self._settings.max_images)
        if stop.done():
            return Outcome("interrupted", outputs)
        if not await self._stop_saving():
            return Outcome("lost", outputs, self.died.result())
        run = self._connection.execute(code, outputs)
        self._bridge.begin_cell()
        ends: set[asyncio.Future[Any]] = {run.ended, self.died}
        clock = deadline if isinstance(deadline, Deadline) else Deadline(deadline)
        clock.start()
        try:
            await asyncio.wait(ends | {stop, clock.passed}, return_when=asyncio.FIRST_COMPLETED)
            stopped = "interrupted" if stop.done() else "timeout"
            early = any(end.done() for end in ends)
            if not early:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._insist(run, ends), self._settings.interrupt_grace_seconds)
            if run.ended.done() and not self.died.done():
                return Outcome(run.ended.result() if early else stopped, outputs)
            await self.stop("it ignored the interrupt")
            return Outcome("lost" if early else stopped, outputs, self.died.result())
        finally:
            clock.stop()
            self._bridge.end_cell()
            self._connection.finish(run)

    async def save(self, order: Order, sink: Sink) -> bool:
        """Between cells: writes down what changed. False where a cell came first, or it took too long: then it is
        stopped, or killed. Raises what `sink` raises."""
        overdue = asyncio.create_task(self._stop_saving_after(order.seconds + SAVE_GRACE_SECONDS), name="save-deadline")
        try:
            return await self._bridge.keeping.save(order, sink, self.died)
        finally:
            overdue.cancel()

    async def load(self, head: Mapping[str, Any], body: bytes = b"", seconds: float | None = None) -> dict[str, str]:
        """Before its first cell: what `head` describes becomes its variables. Returns those that could not be loaded,
        with reasons. Without a body they are in `memory`. It has as long as a start takes, unless `seconds` says more.

        Raises GatewayError kernel_died | deadline; then it is dead.
        """
        seconds = self._settings.start_seconds if seconds is None else seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._bridge.keeping.load(head, body, self.died)
        except TimeoutError:
            await self.stop("a variable's own code, which says how to load it, took too long")
            message = f"restoring the variables took over {seconds:g} s; go back to an earlier cell, or start again"
            raise GatewayError("deadline", message) from None

    @property
    def memory(self) -> MemoryFile:
        return self._sockets.memory

    async def _stop_saving_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._stop_saving()

    async def _stop_saving(self) -> bool:
        """False where it would not stop, and was killed for it."""
        stopped = self._bridge.keeping.stop()
        if stopped is None:
            return True
        ends: set[asyncio.Future[Any]] = {stopped, self.died}
        await asyncio.wait(ends, timeout=YIELD_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not any(end.done() for end in ends):
            self._connection.interrupt()  # code of a variable's own is at work
            timeout = self._settings.interrupt_grace_seconds
            await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            await self.stop("a variable's own code, which says how to save it, ignored the interrupt")
        return not self.died.done()

    async def _insist(self, run: Run, ends: set[asyncio.Future[Any]]) -> None:
        """Interrupts until one of `ends`. A kernel ignores what comes before its cell begins, so that is waited for."""
        await asyncio.wait({run.began, *ends}, return_when=asyncio.FIRST_COMPLETED)
        while not any(end.done() for end in ends):
            self._connection.interrupt()
            await asyncio.wait(ends, timeout=INTERRUPT_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)

    async def stop(self, cause: str = "it was stopped") -> None:
        """Kills the sandbox and everything in it. Idempotent; the first cause stands."""
        if not self.died.done():
            self.was_stopped = True
            self.died.set_result(cause)
        self._process.send_signal(signal.SIGKILL)
        if self._cleanup is None:
            self._cleanup = asyncio.create_task(self._clean(), name="kernel-cleanup")
        await asyncio.shield(self._cleanup)

    async def _clean(self) -> None:
        _, alive = await asyncio.wait({self._watcher}, timeout=KILL_SECONDS)
        if alive:
            log.error("a killed kernel is still there after %g s: %r", KILL_SECONDS, self._process)
        self._connection.close()
        await self._bridge.close()
        self._sockets.close()
        self.gone.set_result(None)

    async def _watch(self) -> None:
        """Until the process is gone. A kernel that closes or breaks one of its ways out is finished."""
        exited = asyncio.create_task(self._process.wait())
        ways: tuple[asyncio.Future[str], ...] = (self._bridge.broken, self._connection.lost)
        watched: set[asyncio.Future[Any]] = {exited, *ways}
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        reasons = [way.result() for way in ways if way.done() and not way.cancelled()]
        broke = next((reason for reason in reasons if BROKE_PROTOCOL in reason), "")
        if not broke:
            # The ways out of a dying kernel close a moment before its exit status is known.
            await asyncio.wait({exited}, timeout=self._settings.idle_grace_seconds)
        if not exited.done() and not self.died.done():
            self.died.set_result(broke or reasons[0])
            self._process.send_signal(signal.SIGKILL)
        code = await exited
        if not self.died.done():
            self.died.set_result(broke or describe_exit(code, self._process.ran_out_of_memory()))


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
