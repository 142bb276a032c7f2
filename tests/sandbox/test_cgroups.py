"""A cgroup per kernel: real ones where this host delegates any, of whichever version; the rest on folders and text.

What version 2 does is the kernel's affair and not tested here: only where we look, and what we write.
"""

import asyncio
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.launchers.processes import descendants
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.sandbox import cgroups as module
from kernel_gateway.sandbox.cgroups import CONTROLLERS, Cgroup, CgroupLimits, Cgroups, Hierarchy
from kernel_gateway.settings import Settings
from tests.conftest import IMAGE

MIB = 1024 * 1024
LIMITS = CgroupLimits(memory_bytes=256 * MIB, tasks=64, cpus=0.5, cpu_weight=25)
FOUND = Cgroups.find()

delegated = pytest.mark.skipif(bool(FOUND.missing), reason=f"this host delegates not all: {dict(FOUND.missing)}")


@pytest.fixture
async def claimed(gateway_settings):
    """`claimed(**sandbox settings)` -> a kernel that runs cells, and `folder(controller)` of its cgroup."""
    kernels, launchers = [], []

    async def start(**sandbox):
        settings = gateway_settings()
        settings = Settings.of({**settings.model_dump(), "sandbox": {**settings.sandbox.model_dump(), **sandbox}})
        launcher = kernel_launcher(settings)
        launchers.append(launcher)
        kernel = await Kernel.start(launcher, settings.kernels)
        kernels.append(kernel)

        async def refuse(message):
            raise AssertionError

        await kernel.claim({"version": 1, "servers": {}}, refuse, 1)
        return kernel

    yield start
    for kernel in kernels:
        await kernel.stop()
    for launcher in launchers:
        await launcher.close()


async def run(kernel, code):
    return await kernel.run(code, 60, asyncio.get_running_loop().create_future())


def folder_of(kernel, controller):
    """Of the cgroup that the host says the kernel's process is in."""
    hierarchy = FOUND.hierarchies[controller]
    lines = Path(f"/proc/{kernel._process.pid}/cgroup").read_text().splitlines()
    (path,) = [
        path
        for number, names, path in (line.split(":", 2) for line in lines)
        if (controller in names.split(",") if hierarchy.version == 1 else number == "0")
    ]
    return hierarchy.folder / Path(path).name


# Written to, page by page: memory that is only asked for costs nothing.
TAKE = "data = [bytearray(b'x' * 2**20) for _ in range({mib})]\nlen(data)"


@delegated
async def test_a_memory_bomb_ends_its_own_kernel_which_says_so_and_no_other(claimed):
    bomb, neighbour = await claimed(memory_bytes=256 * MIB), await claimed(memory_bytes=256 * MIB)
    assert (await run(neighbour, "kept = 7")).status == "ok"
    outcome = await run(bomb, TAKE.format(mib=512))
    assert (outcome.status, "ran out of memory" in outcome.cause) == ("lost", True)
    assert (await run(neighbour, "kept")).outputs.result == "7"


@delegated
async def test_memory_is_given_up_to_the_limit(claimed):
    kernel = await claimed(memory_bytes=256 * MIB)
    assert (await run(kernel, TAKE.format(mib=150))).outputs.result == "150"
    assert (await run(kernel, TAKE.format(mib=300))).status == "lost"


@delegated
async def test_what_is_in_the_home_counts_as_memory(claimed):
    kernel = await claimed(memory_bytes=256 * MIB, home_bytes=512 * MIB, file_bytes=512 * MIB)
    write = "with open('/home/kernel/big', 'wb') as file:\n    for _ in range({mib}): file.write(b'x' * 2**20)"
    assert (await run(kernel, write.format(mib=150))).status == "ok"
    assert (await run(kernel, write.format(mib=400))).status == "lost"


THREADS = """
import threading
never, started = threading.Event(), 0
try:
    while started < 300:
        threading.Thread(target=never.wait, daemon=True).start()
        started += 1
except RuntimeError:
    pass
never.set()
started
"""


@delegated
async def test_threads_are_given_up_to_the_limit(claimed):
    few, more = await claimed(processes=64), await claimed(processes=128)
    first = int((await run(few, THREADS)).outputs.result)
    second = int((await run(more, THREADS)).outputs.result)
    assert 0 < first < 64 <= second < 128


@delegated
async def test_processor_time_is_given_up_to_the_limit(claimed):
    slow, fast = await claimed(cpus=0.1), await claimed(cpus=64)
    for kernel in (slow, fast):
        assert (await run(kernel, "sum(range(10_000_000))")).status == "ok"
    throttled = [
        dict(line.split() for line in (folder_of(kernel, "cpu") / "cpu.stat").read_text().splitlines())["nr_throttled"]
        for kernel in (slow, fast)
    ]
    assert int(throttled[0]) > 0 == int(throttled[1])


@delegated
async def test_a_kernels_cgroup_has_the_limits_of_the_settings_and_goes_with_it(claimed):
    kernel = await claimed(memory_bytes=512 * MIB, processes=100, cpus=0.5, cpu_weight=50)
    limits = CgroupLimits(512 * MIB, 100, 0.5, 50)
    for controller, hierarchy in FOUND.hierarchies.items():
        folder = folder_of(kernel, controller)
        for name, value in limits.files(hierarchy.version, controller).items():
            assert (folder / name).read_text().strip() == value
    folders = [folder_of(kernel, controller) for controller in CONTROLLERS]
    await kernel.stop()
    assert [folder for folder in folders if folder.exists()] == []


@delegated
@pytest.mark.parametrize("name", ["forkserver", "filtered"])
async def test_a_template_has_a_cgroup_with_limits_of_its_own_and_its_kernels_leave_it(gateway_settings, name):
    sandbox = {"image": str(IMAGE), "template_memory_bytes": 512 * MIB, "template_processes": 300}
    settings = gateway_settings(sandbox=sandbox, kernels={"launcher": name})
    launcher = kernel_launcher(settings)
    kernel = await Kernel.start(launcher, settings.kernels)
    cgroup = launcher._inner._template._process._cgroup
    limits = CgroupLimits(512 * MIB, 300, math.inf, 100)
    for folder, (controller, hierarchy) in zip(cgroup.folders, FOUND.hierarchies.items(), strict=True):
        for file, value in limits.files(hierarchy.version, controller).items():
            assert (folder / file).read_text().strip() == value
        assert descendants(launcher._inner._template._process.pid) >= pids_in(folder) > set()
        assert kernel._process.pid in pids_in(folder_of(kernel, controller))
        assert kernel._process.pid not in pids_in(folder)
    await kernel.stop()
    await launcher.close()
    assert [folder for folder in cgroup.folders if folder.exists()] == []


def pids_in(folder):
    return set(map(int, (folder / "cgroup.procs").read_text().split()))


def test_processor_time_without_an_end_is_written_as_each_version_wants_it():
    limits = CgroupLimits(256 * MIB, 64, math.inf, 100)
    assert limits.files(2, "cpu") == {"cpu.max": "max 100000", "cpu.weight": "100"}
    assert limits.files(1, "cpu")["cpu.cfs_quota_us"] == "-1"


KILLED = """
import os, signal
from kernel_gateway.sandbox.cgroups import CgroupLimits, Cgroups
cgroup = Cgroups.find().create("left", CgroupLimits(2**28, 64, 1.0, 25))
for folder in cgroup.folders:
    (folder / "within").mkdir()  # as a container runtime does
print(*cgroup.folders, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@delegated
async def test_cgroups_of_a_gateway_that_was_killed_are_swept_and_no_others():
    mine = FOUND.create("mine", LIMITS)
    killed = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    left = [Path(each) for each in killed.stdout.split()]
    assert left and all(folder.is_dir() for folder in left)
    FOUND.sweep()
    assert [folder for folder in left if folder.exists()] == []
    assert all(folder.is_dir() for folder in mine.folders)
    await mine.remove()
    assert [folder for folder in mine.folders if folder.exists()] == []


@delegated
async def test_a_cgroup_in_use_is_removed_when_its_last_process_has_ended():
    cgroup = FOUND.create("busy", LIMITS)
    process = await asyncio.create_subprocess_exec("sleep", "60")
    cgroup.add(process.pid)
    removal = asyncio.create_task(cgroup.remove())
    await asyncio.wait({removal}, timeout=0)
    assert all(folder.is_dir() for folder in cgroup.folders)
    process.kill()
    await process.wait()
    await removal
    assert [folder for folder in cgroup.folders if folder.exists()] == []


async def test_a_cgroup_that_stays_busy_is_logged_and_holds_up_nobody(tmp_path, monkeypatch, caplog):
    (tmp_path / "cgroup.procs").touch()  # a folder of a real file system: it is never empty
    monkeypatch.setattr(module, "_REMOVE_ATTEMPTS", 2)
    await Cgroup((tmp_path,), None).remove()
    assert f"a cgroup cannot be removed: {tmp_path}" in caplog.text


@delegated
async def test_a_process_that_has_ended_cannot_be_added():
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    cgroup = FOUND.create("late", LIMITS)
    with pytest.raises(ProcessLookupError):
        cgroup.add(process.pid)
    await cgroup.remove()


def test_the_files_of_version_2_are_those_of_its_documentation():
    assert {name: LIMITS.files(2, name) for name in CONTROLLERS} == {
        "memory": {"memory.max": "268435456", "memory.swap.max": "0", "memory.oom.group": "1"},
        "pids": {"pids.max": "64"},
        "cpu": {"cpu.max": "50000 100000", "cpu.weight": "25"},
    }


def mounts(*lines):
    return "".join(f"{number} 1 0:{number} {line}\n" for number, line in enumerate(lines, start=20))


@pytest.fixture
def host(tmp_path):
    """`host(mountinfo, membership)` -> what is found on a host whose files say so."""

    def find(mountinfo, membership):
        (tmp_path / "mountinfo").write_text(mountinfo)
        (tmp_path / "membership").write_text(membership)
        return Cgroups.find(tmp_path / "mountinfo", tmp_path / "membership")

    return find


@pytest.fixture
def unified(tmp_path):
    """`unified(controllers, enabled)` -> a folder like a delegated cgroup of version 2, and the line of its mount."""
    point = tmp_path / "cgroup"

    def make(controllers, enabled=""):
        own = point / "system.slice" / "gateway.service"
        own.mkdir(parents=True)
        for name, text in (("controllers", controllers), ("subtree_control", enabled), ("type", "domain")):
            (own / f"cgroup.{name}").write_text(text)
        return own, mounts(f"/ {point} rw - cgroup2 cgroup2 rw")

    return make


def test_version_2_is_used_where_it_is_delegated_and_this_process_moves_to_a_leaf(host, unified):
    own, mountinfo = unified("cpuset cpu io memory pids\n")
    found = host(mountinfo, "0::/system.slice/gateway.service\n")
    assert found.hierarchies == dict.fromkeys(CONTROLLERS, Hierarchy(2, own))
    assert found.missing == {}
    assert (own / "gateway" / "cgroup.procs").read_text() == f"{os.getpid()}"
    assert (own / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_in_a_leaf_of_its_own_this_process_uses_the_cgroup_around_it(host, unified):
    own, mountinfo = unified("memory pids\n", enabled="memory pids\n")
    (own / "gateway").mkdir()
    found = host(mountinfo, "0::/system.slice/gateway.service/gateway\n")
    assert found.hierarchies == dict.fromkeys(("memory", "pids"), Hierarchy(2, own))
    assert "version 1: not mounted" in found.missing["cpu"]
    assert (own / "cgroup.subtree_control").read_text() == "memory pids\n"


def test_version_2_without_a_controller_says_so(host, unified):
    own, mountinfo = unified("hugetlb\n")
    found = host(mountinfo, "0::/system.slice/gateway.service\n")
    assert found.hierarchies == {}
    assert found.missing["memory"] == (
        f"version 2: `{own}` has no controller for memory, pids or cpu; version 1: not mounted"
    )


def test_version_2_that_others_share_says_so(host, unified):
    own, mountinfo = unified("memory pids cpu\n")
    (own / "cgroup.subtree_control").unlink()
    (own / "cgroup.subtree_control").mkdir()  # cannot be written, as when others are still in there
    found = host(mountinfo, "0::/system.slice/gateway.service\n")
    assert set(found.missing) == set(CONTROLLERS)
    assert "is not delegated to this process (Is a directory)" in found.missing["pids"]


def test_a_host_without_cgroups_says_so(host):
    found = host(mounts("/ / rw - ext4 /dev/vda rw"), "")
    assert set(found.missing.values()) == {"version 2: not mounted; version 1: not mounted"}


def test_version_1_is_used_below_the_own_cgroup_of_each_controller(host, tmp_path):
    (tmp_path / "memory" / "mine").mkdir(parents=True)
    (tmp_path / "both").mkdir()
    mountinfo = mounts(
        f"/ {tmp_path}/memory rw - cgroup cgroup rw,memory", f"/docker/1 {tmp_path}/both rw - cgroup cgroup rw,cpu,pids"
    )
    found = host(mountinfo, "3:memory:/mine\n2:cpu,pids:/docker/1\n1:name=systemd:/\n")
    assert found.hierarchies == {
        "memory": Hierarchy(1, tmp_path / "memory" / "mine"),
        "pids": Hierarchy(1, tmp_path / "both"),
        "cpu": Hierarchy(1, tmp_path / "both"),
    }


def test_a_cgroup_of_version_2_is_made_with_what_the_host_has(host, unified, tmp_path):
    own, mountinfo = unified("memory pids cpu\n")
    cgroup = host(mountinfo, "0::/system.slice/gateway.service\n").create("1", LIMITS)
    assert cgroup.folders == (own / f"kg-{os.getpid()}-1",)
    written = {path.name: path.read_text() for path in cgroup.folders[0].iterdir()}
    assert written == {
        "memory.max": "268435456", "memory.oom.group": "1", "pids.max": "64",
        "cpu.max": "50000 100000", "cpu.weight": "25",
    }  # fmt: skip


@pytest.mark.parametrize(("events", "said"), [("low 0\nmax 3\noom_kill 1\n", True), ("oom 1\noom_kill 0\n", False)])
def test_version_2_counts_what_was_killed(tmp_path, events, said):
    (tmp_path / "memory.events").write_text(events)
    assert Cgroup((tmp_path,), tmp_path).ran_out_of_memory() is said
    assert not Cgroup((tmp_path,), None).ran_out_of_memory()
