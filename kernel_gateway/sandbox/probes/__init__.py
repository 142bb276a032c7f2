"""Named attacks, as data: at least eight in each family."""

from kernel_gateway.sandbox.probes.cell import cell
from kernel_gateway.sandbox.probes.files import FILES
from kernel_gateway.sandbox.probes.floods import FLOODS
from kernel_gateway.sandbox.probes.jupyter import JUPYTER
from kernel_gateway.sandbox.probes.mounts import MOUNTS
from kernel_gateway.sandbox.probes.network import NETWORK
from kernel_gateway.sandbox.probes.privileges import PRIVILEGES
from kernel_gateway.sandbox.probes.probe import DENIED, ENDS, LAYERS, Probe, of_family
from kernel_gateway.sandbox.probes.processes import PROCESSES
from kernel_gateway.sandbox.probes.resources import RESOURCES
from kernel_gateway.sandbox.probes.secrets import SECRETS
from kernel_gateway.sandbox.probes.stuck import STUCK
from kernel_gateway.sandbox.probes.surface import SURFACE

PROBES: tuple[Probe, ...] = (
    *NETWORK,
    *FILES,
    *MOUNTS,
    *PROCESSES,
    *PRIVILEGES,
    *SURFACE,
    *SECRETS,
    *JUPYTER,
    *STUCK,
    *RESOURCES,
    *FLOODS,
)
QUICK: tuple[Probe, ...] = tuple(probe for probe in PROBES if probe.is_quick)

__all__ = ["DENIED", "ENDS", "LAYERS", "PROBES", "QUICK", "Probe", "cell", "of_family"]
