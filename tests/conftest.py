"""What many tests share: the real kernel image, real kernels, a real gateway with the reference world."""

import asyncio
import warnings
from pathlib import Path

import pytest

from kernel_ext.wire import Kind, Message
from kernel_gateway.app import running
from kernel_gateway.embedded import embedded_world
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.reference.loopback import ReferenceWorldWarning
from kernel_gateway.settings import Settings

ROOT = Path(__file__).parent.parent
IMAGE = ROOT / "build" / "kernel"


# A template of a test's own, without the libraries that take it half a second to load.
LEAN = {"preload": [], "pool": {"ready": 0}}


@pytest.fixture
def launcher():
    return kernel_launcher(Settings.of({"sandbox": {"image": str(IMAGE)}, "kernels": LEAN}))


@pytest.fixture
async def start_kernel(launcher):
    """Starts unclaimed kernels; whatever still lives at the end of the test is stopped."""
    kernels = []

    async def start(**settings):
        kernel = await Kernel.start(launcher, KernelSettings(**settings))
        kernels.append(kernel)
        return kernel

    yield start
    for kernel in kernels:
        await kernel.stop()
    await launcher.close()


async def until(condition):
    """Lets everything else run until `condition()` is true; the test's own timeout bounds it."""
    while not condition():
        await asyncio.sleep(0)


EMPTY_MANIFEST = {"version": 1, "servers": {}}


async def refuse(message: Message) -> Message:
    return Message(Kind.ERROR, message.id, {"code": "denied", "message": "nothing may be called here"})


@pytest.fixture
async def claim_kernel(start_kernel):
    """Starts a kernel and claims it; `run(code)` runs a cell in it."""

    async def claim(handler=refuse, manifest=EMPTY_MANIFEST, execution_count=1, **settings):
        kernel = await start_kernel(**settings)
        await kernel.claim(manifest, handler, execution_count)
        return kernel

    return claim


@pytest.fixture
def gateway_settings(tmp_path):
    """Settings of a gateway that keeps everything in the test's folder, and asks nobody."""

    def settings(**sections):
        values = {
            "sandbox": {"image": str(IMAGE)},
            "store": {"folder": str(tmp_path / "state")},
            "policy": {"auto_approve_risk": "critical"},
        }
        return Settings.of({**values, **sections, "kernels": {**LEAN, **sections.get("kernels", {})}})

    return settings


@pytest.fixture
async def hold():
    """`await hold(context_manager)` -> its value; held until the test ends, the last one let go first.

    Each is entered and left in one task of its own, as anyio's cancel scopes want it; a fixture's halves are two tasks.
    """
    held = []

    async def keep(manager, entered, release):
        try:
            async with manager as value:
                entered.set_result(value)
                await release.wait()
        except BaseException as error:
            if entered.done():
                raise
            entered.set_exception(error)

    async def enter(manager):
        entered, release = asyncio.get_running_loop().create_future(), asyncio.Event()
        held.append((asyncio.create_task(keep(manager, entered, release)), release))
        return await entered

    yield enter
    for task, release in reversed(held):
        release.set()
        await task


@pytest.fixture
async def world_and_app(hold):
    """Starts the reference world and a gateway over it; both end with the test."""

    async def start(settings):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReferenceWorldWarning)
            world, settings = await hold(embedded_world(settings))
        return world, await hold(running(settings, embedded=True))

    return start
