"""What a forked child gives up by itself, for real: in bubblewrap, as a template's child, as root and as nobody."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernel_gateway.sandbox.images import KernelImage
from kernel_gateway.sandbox.profiles import TEMPLATE
from kernel_gateway.sandbox.seccomp import compile_filter
from kernel_gateway.sandbox.settings import SandboxSettings
from kernel_gateway.sandbox.spec import LAYERS, compose, this_interpreter
from tests.conftest import IMAGE, ROOT

MIB = 1024 * 1024
SETTINGS = SandboxSettings(
    home_bytes=2 * MIB, temporary_bytes=MIB, shared_memory_bytes=MIB, max_inodes=64, address_space_bytes=1024 * MIB
)
ORDER = ["limits", "capabilities", "landlock", "seccomp"]
SCRATCH = ("/home/kernel", "/tmp", "/dev/shm")

# What an ordinary user may not reach on this machine is shown to it elsewhere, in a mount namespace of the test's own.
AS_NOBODY = """
mount --bind "$1" /mnt; mount --bind "$2" /media; mount --bind "$3" /srv; shift 3
exec setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"
"""


@pytest.fixture(params=["root", "nobody"])
def told(request, tmp_path):
    """`told(name, *layers left out)` -> what `confined.py`'s function of that name found in a confined child."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip(reason="these tests run as an ordinary user already")
    (tmp_path / "here").write_text("of the host")
    (tmp_path / "here").chmod(0o666)
    tmp_path.chmod(0o777)

    def ask(name, *without):
        spec = compose(KernelImage.load(IMAGE), SETTINGS, this_interpreter()).without(*without)
        prefix, packages = str(Path(sys.base_prefix).resolve()), str(spec.mounts[-1].source)
        elsewhere, outer = {}, []
        if request.param == "nobody" and os.geteuid() == 0:
            elsewhere = {prefix: "/mnt", packages: "/media", str(tmp_path): "/srv"}
            outer = ["unshare", "--mount", "sh", "-ec", AS_NOBODY, "sh", *elsewhere]
        command = [*outer, *bwrap(spec, name, tmp_path, elsewhere)]
        ended = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
        assert ended.returncode == 0, ended.stderr
        told = json.loads(ended.stdout)
        assert told["held"] == [layer for layer in ORDER if layer not in without]
        return told["found"]

    return ask


def bwrap(spec, name, outside, elsewhere):
    def there(path):
        for moved, seen in elsewhere.items():
            if Path(path).is_relative_to(moved):
                return str(seen / Path(path).relative_to(moved))
        return str(path)

    line = ["bwrap", "--unshare-all", "--uid", "0", "--gid", "0", "--cap-add", "ALL", "--die-with-parent", "--clearenv"]
    for mount in spec.mounts:
        line += ["--ro-bind", there(mount.source), str(mount.target)]
    for source, target in spec.links:
        line += ["--symlink", source, str(target)]
    for folder in SCRATCH[:2]:
        line += ["--dir", folder]
    line += ["--proc", "/proc", "--dev", "/dev", "--bind", there(outside), "/outside", "--remount-ro", "/"]
    line += ["--setenv", "LD_LIBRARY_PATH", spec.environment["LD_LIBRARY_PATH"]]
    own_filter = compile_filter(TEMPLATE).hex() if "seccomp" in spec.layers else ""
    code = "import sys; sys.path.append('/opt/kernel')\n" + (Path(__file__).parent / "confined.py").read_text()
    return [*line, "--", str(spec.python), "-I", "-c", code, json.dumps(spec.plan("forkserver")), name, own_filter]


def test_a_confined_child_is_nobody_in_namespaces_of_its_own(told):
    found = told("identity", "seccomp")  # which would refuse some of these questions
    assert found["pid"] == 1
    assert set(found["uid"]) == {1000}
    assert (found["host"], found["home"]) == ("kernel", "/home/kernel")
    assert found["proc"] == "EACCES"
    assert (found["capabilities"], set(found["bounding"])) == (0, {0})
    assert (found["dumpable"], found["no_new_privs"], found["securebits"]) == (0, 1, 0b1110_1111)
    assert set(found["modes"]) == {"0o700"}
    assert found["descriptors"] == [], "none but the standard streams"


def test_proc_is_gone_and_not_only_closed(told):
    assert told("identity", "seccomp", "landlock")["proc"] == []


def test_scratch_folders_hold_their_size_and_their_files_and_no_more(told):
    one = {"fits": True, "too_much": "ENOSPC", "files": SETTINGS.max_inodes - 1}  # the folder itself is one
    assert told("scratch") == dict.fromkeys(SCRATCH, one)


def test_there_is_no_way_back(told):
    assert set(told("ways_back").values()) == {"EPERM"}


def test_a_sibling_and_the_template_cannot_be_seen(told):
    assert told("neighbours", "seccomp") == [1], "itself; asked without the filter, which lets nobody ask"


def test_only_its_own_folders_can_be_written_and_only_the_system_can_be_read(told):
    found = told("files")
    assert found["library"] is True
    assert [found[each] for each in ("home", "cut", "null", "zero", "random")] == [1, None, 1, 1, 1]
    assert found["moved"] == "EXDEV", "two file systems, each with its size"
    refused = {name: error for name, error in found.items() if "outside" in name or name in ("root", "full")}
    assert len(refused) == 8
    assert set(refused.values()) <= {"EACCES", "EXDEV"}
    assert found["pipe"] == "EPERM"


def test_without_landlock_a_mounted_folder_could_be_written_so_it_is_what_stops_it(told):
    found = told("files", "landlock")
    assert (found["outside"], found["made outside"], found["removed outside"]) == (1, None, None)


def test_without_the_filter_namespaces_and_programs_are_there_so_it_is_what_stops_them(told):
    found = told("ways_back", "seccomp")
    assert (found["user namespace"], found["mount namespace"]) == (None, None)
    assert {found[each] for each in ("mount", "remount", "proc", "host name")} == {"EPERM"}, "by the other layers"


def test_without_namespaces_only_the_rest_of_the_plan_is_done(told):
    found = told("identity", "namespaces", "seccomp")
    assert found["pid"] > 1
    assert found["host"] != "kernel"
    assert set(found["uid"]) == {0}
    assert (found["capabilities"], set(found["bounding"])) == (0, {0})


@pytest.mark.parametrize(
    ("launcher", "layers"),
    [
        ("forkserver", LAYERS),
        ("bwrap", LAYERS - {"namespaces"}),
        ("oci", LAYERS - {"namespaces"}),
        ("filtered", LAYERS - {"namespaces"}),
        ("none", set()),
    ],
)
def test_a_plan_names_what_the_process_does_itself_and_holds_no_path_of_the_host(launcher, layers):
    spec = compose(KernelImage.load(IMAGE), SETTINGS, this_interpreter())
    plan = json.loads(json.dumps(spec.plan(launcher)))
    assert set(plan["layers"]) == layers
    assert set(spec.without("seccomp", "landlock").plan(launcher)["layers"]) == layers - {"seccomp", "landlock"}
    if launcher == "filtered":
        assert (plan["write"], str(spec.mounts[-1].source) in plan["read"]) == ([], True)
    else:
        assert set(plan["write"]) == set(SCRATCH)
        assert str(ROOT) not in json.dumps(plan)
