"""What isolation this host gives: which layer holds, which is absent, what to do; then every named attack for real."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.sandbox.host import ADVICE, namespaces_allowed
from kernel_gateway.sandbox.probes import PROBES, REFUSED, Probe

PROBE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `detail` is what was seen, or what to do where it does not hold."""

    name: str
    holds: bool
    detail: str = ""

    def line(self) -> str:
        return f"{'ok    ' if self.holds else 'FAILED'} {self.name}{f': {self.detail}' if self.detail else ''}"

    def json(self) -> dict[str, Any]:
        return asdict(self)


def host() -> list[Finding]:
    """The layers the default launcher builds on."""
    program = shutil.which("bwrap")
    allowed = namespaces_allowed()
    return [
        Finding("bubblewrap is installed", program is not None, program or "run `apt-get install bubblewrap`"),
        Finding("namespaces are allowed", allowed, "" if allowed else ADVICE),
    ]


async def attacks(start_kernel: Callable[[], Awaitable[Kernel]]) -> AsyncIterator[Finding]:
    """Every named attack, one after the other in one fresh kernel; a kernel an attack has killed is replaced."""
    kernel: Kernel | None = None
    try:
        for probe in PROBES:
            if kernel is None or kernel.died.done():
                kernel = await _fresh(start_kernel)
            yield await _try(kernel, probe)
    except GatewayError as error:
        yield Finding("a kernel starts in its sandbox", False, error.message)
    finally:
        if kernel is not None:
            await kernel.stop()


async def _fresh(start_kernel: Callable[[], Awaitable[Kernel]]) -> Kernel:
    kernel = await start_kernel()
    await kernel.claim({"version": 1, "servers": {}}, _refuse_all, 1)
    return kernel


async def _refuse_all(message: Any) -> Any:
    raise GatewayError("denied", "a probe has nothing to call")


async def _try(kernel: Kernel, probe: Probe) -> Finding:
    outcome = await kernel.run(probe.code, PROBE_SECONDS, asyncio.get_running_loop().create_future())
    lines = outcome.outputs.stdout.strip().splitlines()
    if lines and lines[-1] == REFUSED:
        return Finding(f"cannot {probe.name}", True, lines[0] if len(lines) > 1 else "")
    said = lines[-1] if lines else outcome.cause or (outcome.outputs.error or ("no answer",))[0]
    return Finding(f"cannot {probe.name}", False, said[:200])
