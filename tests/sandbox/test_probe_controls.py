"""The other half of every attack: without the layers that stop it, it gets through, or it is said why nobody tried."""

import pytest

from kernel_gateway.attacks import Ground, complaint
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.sandbox.probes import PROBES
from tests.sandbox.controls import LauncherWithout, ground_settings_without, kernel_settings_without

ATTEMPTS = 3  # that an attack can succeed is shown by one success; a busy machine may be too slow for it
TRIED = [probe for probe in PROBES if not probe.why_no_control]
REMOVED = sorted({tuple(sorted(probe.stopped_by)) for probe in TRIED})


def got_through(probe, seen):
    """Not only refused by another layer, and not only slow."""
    return bool(seen.sprung) or "got through" in seen.stdout or (seen.end and seen.end not in probe.ends)


@pytest.mark.parametrize("removed", REMOVED, ids="-".join)
async def test_an_attack_gets_through_where_the_layers_that_stop_it_are_gone(removed):
    removed, launcher = set(removed), LauncherWithout(set(removed))
    settings = kernel_settings_without(removed)
    stopped = []
    async with Ground(lambda: Kernel.start(launcher, settings), **ground_settings_without(removed)) as ground:
        for probe in TRIED:
            if set(probe.stopped_by) == removed:
                for _ in range(ATTEMPTS):
                    seen = await ground.attack(probe, probe.control)
                    if got_through(probe, seen) and complaint(probe, seen):
                        break
                else:
                    stopped.append(f"{probe.name}: {seen.said or seen.status}")
    assert not stopped, "\n".join(stopped)
