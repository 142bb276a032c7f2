"""Where attacks are run: a session to attack from, a sibling to attack, bait on the host, and somebody who looks on."""

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from kernel_gateway.attacks.bait import Bait
from kernel_gateway.attacks.desk import Desk
from kernel_gateway.attacks.verdict import Seen
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.limits.settings import LimitSettings
from kernel_gateway.sandbox.probes import Probe, cell
from kernel_gateway.sessions.permit import Permit
from kernel_gateway.sessions.result import ExecuteRequest, ExecuteResult
from kernel_gateway.sessions.session import Session
from kernel_gateway.sessions.turns import Turn

LINGER_SECONDS = 3.0  # what a cell does after its turn comes within one
_GOES_ON_SECONDS = 20.0  # a new kernel, or the rest of a cell that lied about its end
_LOOK_SECONDS = 0.02
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_SIBLING = """
import os
for folder in ("/home/kernel", "/tmp", "/dev/shm"):
    try:
        open(os.path.join(folder, "{file}"), "w").close()
    except OSError:
        pass
secret = "kgs" + "-" + os.urandom(16).hex()
"""


class Ground:
    """One session after the other attacks; a session is given up with the kernel that an attack has spoilt.

    `deadline_seconds` takes the place of every probe's own: what a control run does without.
    """

    def __init__(
        self,
        start_kernel: Callable[[], Awaitable[Kernel]],
        *,
        limits: LimitSettings | None = None,
        deadline_seconds: float | None = None,
    ) -> None:
        self._start_kernel, self._deadline_seconds = start_kernel, deadline_seconds
        self._bait = Bait()
        self._desk = Desk(self._started, limits or LimitSettings(), self._bait.token)
        self._kernels: list[Kernel] = []
        self._attacker: Session | None = None
        self._sibling = self._desk.session("sibling")
        self._bait.values["foreign_blob"] = self._desk.blob(self._sibling)
        self._bait.values["sibling_file"] = f"sibling-{secrets.token_hex(8)}"

    def __repr__(self) -> str:
        return f"<Ground {self._bait!r}, {len(self._kernels)} kernels>"

    async def __aenter__(self) -> "Ground":
        try:
            await self._run(self._sibling, _SIBLING.format(file=self._bait.values["sibling_file"]), 10.0)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._bait.close()
        for kernel in self._kernels:
            await kernel.stop()

    async def attack(self, probe: Probe, body: str = "") -> Seen:
        """Runs the probe, or `body` in its place, and says what was seen of it."""
        session = self._attacker or self._desk.session("attacker")
        self._attacker = session
        code = cell(body or probe.body, {**self._bait.values, "own_blob": self._desk.blob(session)})
        deadline = self._deadline_seconds or probe.seconds
        strays, before = session.account.strays, _reset_peak()
        async with _watched_loop() as stalls:
            began = time.monotonic()
            result = await self._run(session, code, deadline)
            seconds = time.monotonic() - began
            calls = self._desk.lab.calls
            lingered = not probe.lingers or await self._strays(session, strays)
            late = self._desk.lab.calls - calls
            goes_on = True
            if result.status != "ok" or "refused " not in result.stdout:
                goes_on = (await self._run(session, "pass", _GOES_ON_SECONDS)).status == "ok"
                await self._give_up(session)
        sprung = [*self._bait.sprung(), *self._sibling_harmed()]
        if late:
            sprung.append("a call was made after its turn")
        if not lingered:
            sprung.append("nothing came after its turn, so nothing was shown")
        return Seen(
            status=result.status,
            stdout=result.stdout,
            truncated=result.truncated,
            error=f"{result.error.ename}: {result.error.evalue}" if result.error else result.message,
            sprung=tuple(sprung),
            seconds=seconds,
            growth_bytes=_peak() - before,
            stall_seconds=max(stalls),
            goes_on=goes_on,
        )

    async def _run(self, session: Session, code: str, deadline: float) -> ExecuteResult:
        request = ExecuteRequest(code, session.id, timeout_seconds=deadline)
        stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        permit = self._desk.permit(session)

        async def redeem() -> Permit:
            return permit

        return await session.execute(request, Turn(None, b"", stop), redeem)

    async def _give_up(self, session: Session) -> None:
        await session.close()
        self._attacker = None
        self._kernels = [kernel for kernel in self._kernels if not kernel.gone.done()]

    async def _strays(self, session: Session, before: int) -> bool:
        end = time.monotonic() + LINGER_SECONDS
        while session.account.strays == before and time.monotonic() < end:  # noqa: ASYNC110 -- it counts, it tells nobody
            await asyncio.sleep(_LOOK_SECONDS)
        return session.account.strays > before

    async def _started(self) -> Kernel:
        kernel = await self._start_kernel()
        self._kernels.append(kernel)
        return kernel

    def _sibling_harmed(self) -> list[str]:
        return ["a sibling was killed"] if self._kernels[0].died.done() else []


@contextlib.asynccontextmanager
async def _watched_loop() -> AsyncIterator[list[float]]:
    """Processor seconds of this thread between two turns of the event loop; a busy machine costs none."""
    stalls = [0.0]

    async def look() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(_LOOK_SECONDS)
            stalls.append(time.thread_time() - before)

    looking = asyncio.create_task(look())
    try:
        yield stalls
    finally:
        looking.cancel()


def _reset_peak() -> int:
    """Bytes of memory this process has now; from here on the peak counts (proc_pid_clear_refs(5))."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _peak()


def _peak() -> int:
    found = _PEAK.search(Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found[1]) * 1024 if found else 0
