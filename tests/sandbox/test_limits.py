"""Every size limit of the sandbox, at both sides, in a real kernel."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.settings import Settings
from tests.conftest import EMPTY_MANIFEST, IMAGE, LEAN, refuse

MIB = 1024 * 1024


@pytest.fixture(params=["forkserver", "bwrap"])
async def outcome_of(request, hold):
    """`outcome_of(code, **sandbox settings)` -> what the cell printed, or the name of what it raised."""

    @asynccontextmanager
    async def kernel_with(settings):
        launcher = kernel_launcher(settings)
        kernel = await Kernel.start(launcher, KernelSettings())
        try:
            yield kernel
        finally:
            await kernel.stop()
            await launcher.close()

    async def run(code, **limits):
        settings = {"sandbox": {"image": str(IMAGE), **limits}, "kernels": {**LEAN, "launcher": request.param}}
        kernel = await hold(kernel_with(Settings.of(settings)))
        await kernel.claim(EMPTY_MANIFEST, refuse, 1)
        outcome = await kernel.run(code, 30, asyncio.get_running_loop().create_future())
        return outcome.outputs.error[0] if outcome.outputs.error else outcome.outputs.stdout.strip()

    return run


@pytest.mark.parametrize(("mib", "said"), [(7, "written"), (9, "OSError")])
@pytest.mark.parametrize(
    ("setting", "folder"),
    [("home_bytes", "/home/kernel"), ("temporary_bytes", "/tmp"), ("shared_memory_bytes", "/dev/shm")],
)
async def test_a_scratch_folder_holds_its_size_and_no_more(outcome_of, setting, folder, mib, said):
    code = f"with open('{folder}/file', 'wb') as file: file.write(bytes({mib} << 20))\nprint('written')"
    assert await outcome_of(code, **{setting: 8 * MIB}) == said


@pytest.mark.parametrize("outcome_of", ["forkserver"], indirect=True)  # bwrap 0.8 has no option for it
@pytest.mark.parametrize(("files", "said"), [(63, "created"), (64, "OSError")])  # the folder itself is one of 64
@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
async def test_a_scratch_folder_holds_so_many_files_and_no_more(outcome_of, folder, files, said):
    code = f"for n in range({files}): open(f'{folder}/{{n}}', 'x').close()\nprint('created')"
    assert await outcome_of(code, max_inodes=64) == said


@pytest.mark.parametrize(("mib", "said"), [(8, "written"), (9, "OSError")])
async def test_no_file_grows_beyond_its_limit(outcome_of, mib, said):
    code = f"with open('file', 'wb') as file: file.write(bytes({mib} << 20))\nprint('written')"
    assert await outcome_of(code, file_bytes=8 * MIB) == said


@pytest.mark.parametrize(("mib", "said"), [(200, "held"), (1200, "MemoryError")])
async def test_memory_is_limited_and_the_kernel_survives_the_refusal(outcome_of, mib, said):
    assert await outcome_of(f"block = bytes({mib} << 20)\nprint('held')", address_space_bytes=1024 * MIB) == said


@pytest.mark.parametrize(("files", "said"), [(10, "open"), (100, "OSError")])
async def test_open_files_are_limited(outcome_of, files, said):
    code = (
        "import os\nheld, said = [], 'open'\n"
        f"try:\n  for _ in range({files}): held.append(os.open('/dev/null', os.O_RDONLY))\n"
        "except OSError: said = 'OSError'\n"
        "for fd in held: os.close(fd)\nprint(said)"
    )
    assert await outcome_of(code, open_files=96) == said


async def test_no_core_file_is_ever_written(outcome_of):
    assert await outcome_of("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))") == "(0, 0)"
