"""The launcher that the settings ask for, built with what the host gives. Refused before the first caller needs it."""

import functools
import math
from collections.abc import Callable

from kernel_gateway.errors import ConfigError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.launchers import Launcher
from kernel_gateway.kernels.launchers.bwrap import BwrapLauncher
from kernel_gateway.kernels.launchers.cgrouped import CgroupedLauncher, KernelCgroups
from kernel_gateway.kernels.launchers.filtered import FilteredLauncher
from kernel_gateway.kernels.launchers.forkserver import ForkserverLauncher
from kernel_gateway.kernels.launchers.none import PlainLauncher
from kernel_gateway.kernels.launchers.oci import OciLauncher
from kernel_gateway.kernels.pool import Pool
from kernel_gateway.kernels.shares import Shares
from kernel_gateway.sandbox.cgroups import CgroupLimits, Cgroups
from kernel_gateway.sandbox.images import KernelImage
from kernel_gateway.sandbox.settings import SandboxSettings
from kernel_gateway.sandbox.spec import compose, this_interpreter
from kernel_gateway.settings import Settings


def check_launcher(settings: Settings, *, unsafe: bool) -> None:
    """Raises ConfigError where no kernel could be, or should be, started with these settings."""
    if settings.kernels.launcher == "none" and not unsafe:
        raise ConfigError(
            "`kernels.launcher` `none` runs cells without any sandbox; set another, or say so with --unsafe"
        )
    KernelImage.load(settings.sandbox.image)


def kernel_launcher(settings: Settings, *, unsafe: bool = False) -> Launcher:
    """A new one each time: a launcher may keep a template, which serves one organisation. Raises ConfigError.

    With a cgroup for each kernel where the host lets us make any.
    """
    check_launcher(settings, unsafe=unsafe)
    kernels, sandbox = settings.kernels, settings.sandbox
    spec = compose(KernelImage.load(sandbox.image), sandbox, this_interpreter())
    limits = CgroupLimits(sandbox.memory_bytes, sandbox.processes, sandbox.cpus, sandbox.cpu_weight)
    cgroups = KernelCgroups(_cgroups(), limits) if _cgroups().hierarchies else None
    of_templates = cgroups and KernelCgroups(_cgroups(), _template_limits(sandbox))
    launcher: Launcher
    match kernels.launcher:
        case "forkserver":
            launcher = ForkserverLauncher(spec, kernels.preload, kernels.start_seconds, of_templates)
        case "filtered":
            launcher = FilteredLauncher(spec, kernels.preload, kernels.start_seconds, of_templates)
        case "bwrap":
            launcher = BwrapLauncher(spec)
        case "oci":
            return OciLauncher(spec, sandbox.oci_runtime, cgroups)
        case "none":
            launcher = PlainLauncher(spec)
    return CgroupedLauncher(launcher, cgroups) if cgroups else launcher


def _template_limits(sandbox: SandboxSettings) -> CgroupLimits:
    """Its processor time is everyone's: sessions wait for what it forks."""
    return CgroupLimits(sandbox.template_memory_bytes, sandbox.template_processes, math.inf, 100)


@functools.cache
def _cgroups() -> Cgroups:
    """This process's, found once; what gateways that were killed left there is removed."""
    found = Cgroups.find()
    found.sweep()
    return found


def unsafe_warning(settings: Settings) -> str:
    """What `--unsafe` comes to with these settings: the line that every answer shows."""
    if settings.kernels.launcher == "none":
        return "UNSAFE: this kernel runs without a sandbox"
    return "UNSAFE: nobody has checked the sandbox of this kernel"


def kernel_pool(settings: Settings, image: Callable[[], str], *, unsafe: bool = False) -> Pool:
    """Ready kernels of the configured launcher, of what `image()` names. Must be called on an event loop."""
    shares = Shares(settings.kernels)

    async def start_kernel(launcher: Launcher) -> Kernel:
        return await Kernel.start(launcher, settings.kernels, shares)

    return Pool(lambda: kernel_launcher(settings, unsafe=unsafe), start_kernel, settings.kernels.pool, version=image)
