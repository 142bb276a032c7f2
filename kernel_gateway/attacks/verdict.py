"""Whether an attack got through, from what the gateway and the host saw. Pure."""

from dataclasses import dataclass

from kernel_gateway.sandbox.probes.probe import Probe

MAX_GROWTH_BYTES = 192 * 1024 * 1024
"""Of the gateway's memory during one attack: eight queued messages of 8 MiB, 24 MiB of output, and their parsing."""
MAX_STALL_SECONDS = 0.75
"""Of the gateway's processor time between two looks at everybody else: a person notices a second."""
_THROUGH = "got through"


@dataclass(frozen=True, slots=True)
class Seen:
    """`status` and the rest as the session's result says it. `sprung` is what the host saw.

    `seconds` of the clock are for the bench, on a machine of its own; no verdict looks at them.
    """

    status: str
    stdout: str
    truncated: bool
    error: str = ""
    sprung: tuple[str, ...] = ()
    seconds: float = 0.0
    growth_bytes: int = 0
    stall_seconds: float = 0.0
    goes_on: bool = True

    @property
    def lines(self) -> list[str]:
        return self.stdout.strip().splitlines()

    @property
    def said(self) -> str:
        return self.lines[-1] if self.lines else self.error

    @property
    def end(self) -> str:
        """One of a probe's ends; "" where the cell came to none of them."""
        if self.status in ("lost", "timeout"):
            return "lost" if self.status == "lost" else "stopped"
        if self.status != "ok" or _THROUGH in self.stdout:
            return ""
        if self.said.startswith("refused "):
            return "refused"
        if self.truncated:
            return "cut"
        return "survived" if self.said == "alive" else ""


def complaint(probe: Probe, seen: Seen) -> str:
    """Why the attack counts as got through; "" where it was stopped as it should be."""
    if seen.sprung:
        return "; ".join(seen.sprung)
    if seen.end not in probe.ends:
        return (seen.said or f"it ended {seen.status}")[:200]
    if seen.end == "refused" and seen.said.removeprefix("refused ") not in probe.expects:
        return f"refused, but by {seen.said.removeprefix('refused ')} and not {' or '.join(probe.expects)}"
    if seen.growth_bytes > MAX_GROWTH_BYTES:
        return f"the gateway grew by {seen.growth_bytes >> 20} MiB"
    if seen.stall_seconds > MAX_STALL_SECONDS:
        return f"the gateway heard nobody else for {seen.stall_seconds:.1f} s"
    return "" if seen.goes_on else "the session did not go on"
