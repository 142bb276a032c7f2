"""The process that kernels are forked from: what it is, what it holds, and what its children do not share."""

import asyncio
import json
import os
import resource
import secrets
import stat
from pathlib import Path

import pytest

from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.kernels.sockets import KernelSockets
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.settings import Settings
from tests.conftest import IMAGE, refuse, until

CANARY = "canary-"  # and a number of its own, so that this file's own text is not what is found


@pytest.fixture(params=["forkserver", "filtered"])
def launcher(request):
    kernels = {"launcher": request.param, "preload": ["numpy"]}
    return kernel_launcher(Settings.of({"sandbox": {"image": str(IMAGE)}, "kernels": kernels}))


@pytest.fixture
async def family(start_kernel):
    """Two kernels of one template and the template's process id on the host."""
    first, second = await start_kernel(), await start_kernel()
    template = parent_of(first._process.pid)
    assert template == parent_of(second._process.pid)
    return first, second, template


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def run(kernel, code):
    outcome = await kernel.run(code, 30, asyncio.get_running_loop().create_future())
    assert outcome.status == "ok", outcome
    return outcome.outputs.stdout


def manifest_with(canary):
    server = {"title": canary, "operations": []}
    return {"version": 1, "servers": {"store": server}}


async def test_a_template_has_one_thread_and_is_confined_itself(family):
    *_, template = family
    status = status_of(template)
    assert (status["Threads"], status["NoNewPrivs"], status["Seccomp"]) == ("1", "1", "2")


async def test_a_template_has_nothing_open_but_its_one_socket(family):
    *_, template = family
    opened = sorted(int(each.name) for each in Path(f"/proc/{template}/fd").iterdir())
    kinds = {fd: os.stat(f"/proc/{template}/fd/{fd}") for fd in opened}
    sockets = [fd for fd, found in kinds.items() if stat.S_ISSOCK(found.st_mode)]
    pidfds = [fd for fd in opened if "pidfd" in os.readlink(f"/proc/{template}/fd/{fd}")]
    folders = [fd for fd, found in kinds.items() if stat.S_ISDIR(found.st_mode)]
    assert (len(sockets), len(pidfds), len(folders)) == (1, 2, 1)
    assert os.readlink(f"/proc/{template}/fd/{folders[0]}").endswith("/proc")
    assert set(opened) - {0, 1, 2} == {*sockets, *pidfds, *folders}


async def test_siblings_draw_other_random_numbers(family):
    code = (
        "import random, uuid, secrets, tempfile, numpy, os\n"
        "print(random.random(), uuid.uuid4(), secrets.token_hex(8), numpy.random.random(),\n"
        "      numpy.random.default_rng().random(), os.path.basename(tempfile.mktemp()))"
    )
    first, second, _ = family
    drawn = []
    for kernel in (first, second):
        await kernel.claim(manifest_with(""), refuse, 1)
        drawn.append((await run(kernel, code)).split())
    assert len(drawn[0]) == 6
    assert not set(drawn[0]) & set(drawn[1])


def memory_holds(pid, needle):
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_, name = (*line.split(maxsplit=5), "")[:6]
            if not rights.startswith("rw") or name.startswith("[v"):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(start)
                if needle in memory.read(end - start):
                    return True
            except OSError:
                continue
    return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the memory of a process that is not dumpable")
async def test_what_one_kernel_is_given_is_in_no_other_memory(family, start_kernel):
    first, second, template = family
    canary = CANARY + secrets.token_hex(16)
    await first.claim(manifest_with(canary), refuse, 1)
    await second.claim(manifest_with(""), refuse, 1)
    later = await start_kernel()
    key = first._connection._signer._key
    assert memory_holds(first._process.pid, canary.encode())
    for pid in (template, second._process.pid, later._process.pid):
        assert not memory_holds(pid, canary.encode())
        assert not memory_holds(pid, key)


async def test_a_kernel_sees_neither_its_siblings_nor_its_template_and_signals_nobody(family):
    first, second, template = family
    await first.claim(manifest_with(""), refuse, 1)
    code = (
        "import json, os\n"
        "reached = []\n"
        f"for pid in ({template}, {second._process.pid}, os.getppid(), 2, -1):\n"
        "    try:\n        os.kill(pid, 0); reached.append(pid)\n    except OSError: pass\n"
        "print(json.dumps(reached))"
    )
    assert json.loads(await run(first, code)) == []
    assert second._process.returncode is None


async def test_a_child_that_cannot_confine_itself_is_no_kernel(monkeypatch):
    launcher = kernel_launcher(Settings.of({"sandbox": {"image": str(IMAGE)}, "kernels": {"preload": []}}))
    inner = launcher
    while hasattr(inner, "_inner"):
        inner = inner._inner
    plan = {**inner._spec.plan("forkserver"), "needs": ["a layer that no host has"]}
    monkeypatch.setattr(type(inner._spec), "plan", lambda self, kind: plan)
    try:
        with pytest.raises(Exception, match="the kernel did not start"):
            await Kernel.start(launcher, KernelSettings())
    finally:
        await launcher.close()


@pytest.mark.parametrize("preload", [["json", "threading_nonsense"], ["kernel_ext.missing"]])
async def test_a_module_that_cannot_be_preloaded_is_an_error_of_the_start(preload):
    launcher = kernel_launcher(Settings.of({"sandbox": {"image": str(IMAGE)}, "kernels": {"preload": preload}}))
    try:
        with pytest.raises(Exception, match="the template did not start"):
            await Kernel.start(launcher, KernelSettings())
    finally:
        await launcher.close()


async def test_an_answer_that_finds_no_free_descriptor_is_an_error_and_not_waited_for_for_ever(start_kernel, launcher):
    await start_kernel()
    inner = launcher
    while hasattr(inner, "_inner"):
        inner = inner._inner
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    sockets = KernelSockets.open()
    asked = asyncio.create_task(inner.launch(sockets.fds()))
    await until(lambda: inner._template._asked)
    os.close(free := os.dup(0))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        with pytest.raises(GatewayError, match="no free descriptor"):
            await asked
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        sockets.close()
    await start_kernel()
