"""Containers by an OCI runtime: what the launchers' contract does not ask of every launcher."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.launchers import oci
from kernel_gateway.kernels.launchers.oci import container
from kernel_gateway.kernels.sockets import sweep
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.sandbox.cgroups import Cgroups
from kernel_gateway.sandbox.images import KernelImage
from kernel_gateway.sandbox.settings import SandboxSettings
from kernel_gateway.sandbox.spec import Mount, compose, this_interpreter
from kernel_gateway.settings import Settings

IMAGE = Path(__file__).parents[2] / "build" / "kernel"
ORDINARY = 65534
HYBRID = Path("/sys/fs/cgroup/unified")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, or another mount namespace")


@pytest.fixture
def spec():
    return compose(KernelImage.load(IMAGE), SandboxSettings(image=IMAGE), this_interpreter())


@pytest.mark.parametrize("uid", [0, 1000])
def test_a_container_has_namespaces_of_its_own_no_capability_and_a_root_it_cannot_write(spec, uid):
    config = container(spec, ["python"], uid)
    assert {each["type"] for each in config["linux"]["namespaces"]} == {
        "user", "pid", "mount", "network", "ipc", "uts", "cgroup"
    }  # fmt: skip
    assert all("path" not in each for each in config["linux"]["namespaces"])
    assert set(map(tuple, config["process"]["capabilities"].values())) == {()}
    assert config["process"]["noNewPrivileges"] and config["root"]["readonly"]
    binds = [mount for mount in config["mounts"] if mount["type"] == "bind"]
    assert {mount["source"] for mount in binds} == {str(mount.source) for mount in spec.mounts}
    assert all({"ro", "nosuid", "nodev"} <= set(mount["options"]) for mount in binds)
    scratch = {mount["destination"]: mount["options"] for mount in config["mounts"][-len(spec.scratch) :]}
    assert set(scratch) == {str(each.target) for each in spec.scratch}
    for each in spec.scratch:
        assert {f"size={each.size_bytes}", f"nr_inodes={each.inodes}", "noexec"} <= set(scratch[str(each.target)])


def test_under_root_a_kernel_has_an_id_that_owns_nothing_and_else_the_users_own(spec):
    under_root, ordinary = container(spec, [], 0), container(spec, [], 1000)
    kernel_id = under_root["process"]["user"]["uid"]
    mapped = {each["containerID"]: each["hostID"] for each in under_root["linux"]["uidMappings"]}
    assert kernel_id != 0 and mapped[kernel_id] not in (0, os.geteuid())
    assert ordinary["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 1000, "size": 1}]
    assert ordinary["process"]["user"]["uid"] == 0


SEEN = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({"uid": os.getuid(), "processes": [each for each in os.listdir("/proc") if each.isdigit()],
    "capabilities": [status[each].strip() for each in ("CapEff", "CapPrm", "CapBnd", "CapAmb")],
    "privileges": status["NoNewPrivs"].strip(), "files": len(os.listdir("/etc")), "host": os.uname().nodename}))
"""


@as_root
def test_an_ordinary_user_runs_one_too(spec, tmp_path):
    """With the system's Python: the one of the tests may lie where another user cannot look."""
    system = replace(spec, mounts=(Mount(Path("/usr"), PurePosixPath("/usr")),), hidden=())
    config = container(system, ["/usr/bin/python3", "-ISc", SEEN], ORDINARY)
    for each in ("uidMappings", "gidMappings"):
        config["linux"][each][0]["hostID"] = ORDINARY
    oci._write_bundle(tmp_path, system, config)
    for folder in (tmp_path, *tmp_path.rglob("*")):
        os.chown(folder, ORDINARY, ORDINARY, follow_symlinks=False)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    line = ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups", "runc", "--root", tmp_path / "s"]
    done = subprocess.run([*line, "run", "--bundle", tmp_path, "ordinary"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen == {
        "uid": 0, "processes": ["1"], "capabilities": ["0" * 16] * 4, "privileges": "1", "files": 4,
        "host": "kernel",
    }  # fmt: skip


GATEWAY = """
import asyncio, json, sys
from kernel_gateway.settings import Settings
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.settings import KernelSettings

async def main():
    launcher = kernel_launcher(Settings.of(json.loads(sys.argv[1])))
    kernel = await Kernel.start(launcher, KernelSettings())
    async def answer(message): return message
    await kernel.claim({"version": 1, "servers": {}}, answer, 1)
    never = asyncio.get_running_loop().create_future()
    outcome = await kernel.run("6 * 7", 60, never)
    print(outcome.outputs.result, flush=True)
    if len(sys.argv) > 2: await never
    await kernel.stop()

asyncio.run(main())
"""


def settings_of(**sandbox):
    return {"sandbox": {"image": str(IMAGE), **sandbox}, "kernels": {"launcher": "oci"}}


@as_root
@pytest.mark.skipif(not HYBRID.is_dir(), reason="only a host with cgroups of both versions has to hide one")
def test_crun_runs_a_kernel_where_cgroups_are_of_one_version():
    gateway = [sys.executable, "-c", GATEWAY, json.dumps(settings_of(oci_runtime="crun"))]
    hidden = ["unshare", "--mount", "sh", "-c", f'umount {HYBRID} && exec "$@"', "sh"]
    done = subprocess.run([*hidden, *gateway], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr


@pytest.mark.skipif(not HYBRID.is_dir(), reason="crun refuses only a host with cgroups of both versions")
async def test_crun_says_why_it_runs_none_where_cgroups_are_of_both_versions(caplog):
    settings = Settings.of(settings_of(oci_runtime="crun"))
    with pytest.raises(GatewayError) as refused:
        await Kernel.start(kernel_launcher(settings), settings.kernels)
    assert refused.value.code == "sandbox"
    assert "hybrid mode not supported" in caplog.text


@as_root
async def test_of_a_gateway_that_was_killed_nothing_is_left_after_a_sweep():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GATEWAY, json.dumps(settings_of()), "stay", stdout=asyncio.subprocess.PIPE
    )
    assert await process.stdout.readline() == b"42\n"
    name = f"kg-{process.pid}-*"
    folders = [*Path("/tmp").glob(name), *Path(os.environ.get("TMPDIR", "/tmp")).glob(name)]
    (bundle,) = {folder for folder in folders if (folder / "config.json").exists()}
    process.kill()
    await process.wait()
    for cgroup in Path("/sys/fs/cgroup").rglob(name):
        while (cgroup / "cgroup.procs").exists() and (cgroup / "cgroup.procs").read_text():
            await asyncio.sleep(0)
    sweep()
    Cgroups.find().sweep()
    assert not bundle.exists()
    assert list(Path("/sys/fs/cgroup").rglob(name)) == []


async def test_a_runtime_that_is_not_there_says_what_to_install(monkeypatch):
    monkeypatch.setattr(oci, "_SEARCHED", "/nowhere")
    settings = Settings.of(settings_of())
    with pytest.raises(GatewayError, match="`runc` is not installed; run `apt-get install runc`"):
        await Kernel.start(kernel_launcher(settings), settings.kernels)


def test_a_runtime_that_passes_no_sockets_on_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match="`runsc` passes no open sockets on"):
        Settings.of(settings_of(oci_runtime="runsc"))
