"""What isolation this host gives: which layer holds, which is absent, what to do; then every named attack for real."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any

from kernel_gateway.attacks import Ground, complaint
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.sandbox.host import layers
from kernel_gateway.sandbox.probes import PROBES, QUICK, Probe


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


async def self_check(start_kernel: Callable[[], Awaitable[Kernel]], launcher: str) -> Finding | None:
    """The first thing that a sandbox of this launcher needs and this host lacks, or the first attack that succeeds.

    A dozen attacks that cost milliseconds, of every layer some: what is tried before a service begins.
    """
    for finding in host(launcher):
        if not finding.holds and not finding.optional:
            return finding
    async with aclosing(attacks(start_kernel, launcher, QUICK)) as findings:
        async for finding in findings:
            if not finding.holds:
                return finding
    return None


async def attacks(
    start_kernel: Callable[[], Awaitable[Kernel]], launcher: str, probes: Sequence[Probe] = PROBES
) -> AsyncGenerator[Finding, None]:
    """Every named attack that the launcher promises to stop; a kernel that one has spoilt is replaced."""
    try:
        async with Ground(start_kernel) as ground:
            for probe in probes:
                if launcher not in probe.not_on:
                    seen = await ground.attack(probe)
                    wrong = complaint(probe, seen)
                    yield Finding(f"cannot {probe.name}", not wrong, wrong or seen.said[:200])
    except GatewayError as error:
        yield Finding("a kernel starts in its sandbox", False, error.message)
