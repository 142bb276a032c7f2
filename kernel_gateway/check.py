"""What isolation this host gives: which layer holds, which is absent, what to do; then every named attack for real."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.sandbox.host import layers
from kernel_gateway.sandbox.probes import PROBES, REFUSED, Probe

PROBE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `detail` is what was seen, or what to do where it does not hold, which an `optional` one need not."""

    name: str
    holds: bool
    detail: str = ""
    optional: bool = False

    def line(self) -> str:
        word = "ok    " if self.holds else "absent" if self.optional else "FAILED"
        return f"{word} {self.name}{f': {self.detail}' if self.detail else ''}"

    def json(self) -> dict[str, Any]:
        return asdict(self)


# What a launcher cannot do without. All else makes a sandbox stronger where the host has it.
NEEDS: Mapping[str, frozenset[str]] = {
    "forkserver": frozenset({"user namespaces", "bubblewrap", "seccomp filters"}),
    "bwrap": frozenset({"user namespaces", "bubblewrap", "seccomp filters"}),
    "oci": frozenset({"user namespaces", "seccomp filters"}),
    "filtered": frozenset({"seccomp filters", "Landlock"}),
    "none": frozenset(),
}


def host(launcher: str = KernelSettings().launcher) -> list[Finding]:
    """The layers that a sandbox is made of, and whether this host has them."""
    return [
        Finding(layer.name, layer.holds, layer.detail, optional=layer.name not in NEEDS[launcher]) for layer in layers()
    ]


# One attack for each layer, tried before a service begins: all together in a second.
AT_START = frozenset(
    {
        "reach the internet",
        "read the host's password file",
        "see another process",
        "run a program",
        "find a secret in the environment",
        "write outside its own folders",
        "become root",
    }
)


async def self_check(start_kernel: Callable[[], Awaitable[Kernel]], launcher: str) -> Finding | None:
    """The first thing that a sandbox of this launcher needs and this host lacks, or the first attack that succeeds."""
    for finding in host(launcher):
        if not finding.holds and not finding.optional:
            return finding
    chosen = [probe for probe in PROBES if probe.name in AT_START]
    async with aclosing(attacks(start_kernel, chosen)) as findings:
        async for finding in findings:
            if not finding.holds:
                return finding
    return None


async def attacks(
    start_kernel: Callable[[], Awaitable[Kernel]], probes: Sequence[Probe] | None = None
) -> AsyncGenerator[Finding, None]:
    """Every named attack, one after the other in one fresh kernel; a kernel an attack has killed is replaced."""
    kernel: Kernel | None = None
    try:
        for probe in PROBES if probes is None else probes:
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
