"""How long the host bears an attack on its resources."""

from kernel_gateway.attacks import Ground, complaint
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.sandbox.probes import PROBES
from kernel_gateway.settings import Settings
from tests.bench.measurement import Bar, Row
from tests.bench.rig import Rig

BOMBS = tuple(probe for probe in PROBES if probe.must_end_quickly)


async def bombs(rig: Rig) -> list[Row]:
    """Each on a gateway's own terms, in this process: refused inside, or the end of its own kernel."""
    settings = Settings()
    launcher = kernel_launcher(settings)
    taken: dict[str, float] = {}
    try:
        async with Ground(lambda: Kernel.start(launcher, settings.kernels)) as ground:
            for done, probe in enumerate(BOMBS):
                rig.progress.count("attacks on resources", done, len(BOMBS))
                seen = await ground.attack(probe)
                if wrong := complaint(probe, seen):
                    raise RuntimeError(f"an attack of the bench got through: {probe.name}: {wrong}")
                taken[probe.name] = seen.seconds
    finally:
        await launcher.close()
    slowest = max(taken, key=lambda name: taken[name])
    note = f"the longest of {len(taken)}: {slowest}"
    return [Row("attack on resources to its end", "s", (taken[slowest],), bar=Bar(2.0, "value"), note=note)]
