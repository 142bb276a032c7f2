"""What isolation this host gives: which layer holds, which is absent, what to do; then every named attack for real."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kernel_gateway.attacks import Ground, complaint
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.sandbox.host import ADVICE, namespaces_allowed
from kernel_gateway.sandbox.probes import PROBES, Probe


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


async def attacks(
    start_kernel: Callable[[], Awaitable[Kernel]], launcher: str = "forkserver", probes: Sequence[Probe] = PROBES
) -> AsyncIterator[Finding]:
    """Every named attack, one after the other; a kernel that an attack has spoilt is replaced."""
    try:
        async with Ground(start_kernel) as ground:
            for probe in probes:
                if launcher not in probe.not_on:
                    seen = await ground.attack(probe)
                    wrong = complaint(probe, seen)
                    yield Finding(f"cannot {probe.name}", not wrong, wrong or seen.said[:200])
    except GatewayError as error:
        yield Finding("a kernel starts in its sandbox", False, error.message)
