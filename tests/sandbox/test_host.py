"""What a host gives: asked for real here, and of other hosts' files as their documentation has them."""

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from kernel_gateway.check import NEEDS, Finding, host
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.sandbox.host import layers, try_namespaces, what_forbids_namespaces

ROOT = Path(__file__).parents[2]
UBUNTU = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
MOST = "/proc/sys/user/max_user_namespaces"
DEBIAN = "/proc/sys/kernel/unprivileged_userns_clone"
STATUS = "/proc/self/status"


@pytest.mark.parametrize(
    ("number", "files", "as_root", "advice"),
    [
        (errno.EPERM, {UBUNTU: "1"}, False, "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
        (errno.EPERM, {UBUNTU: "0", STATUS: "x\nSeccomp:\t2\n"}, False, "--security-opt seccomp=unconfined"),
        (errno.ENOSPC, {MOST: "0"}, True, "sysctl user.max_user_namespaces=10000"),
        (errno.ENOSPC, {MOST: "95000"}, False, "sysctl user.max_user_namespaces=10000"),
        (errno.EPERM, {DEBIAN: "0"}, False, "sysctl kernel.unprivileged_userns_clone=1"),
        (errno.EPERM, {UBUNTU: "1", DEBIAN: "0", STATUS: "x\nSeccomp:\t2\n"}, True, "as Docker's default one does"),
        (errno.EPERM, {}, False, "mount is refused (Operation not permitted)"),
    ],
)
def test_what_forbids_namespaces_is_named_with_what_to_do(number, files, as_root, advice):
    said = what_forbids_namespaces("mount", number, lambda path: files.get(path, ""), as_root)
    assert advice in said
    assert "\n" not in said


NO_NAMESPACES = """
import ctypes, errno, struct
def step(code, k, yes=0, no=0): return struct.pack("<HBBI", code, yes, no, k)
program = step(0x20, 0) + step(0x15, 272, 0, 1) + step(0x06, 0x00050000 | errno.EPERM) + step(0x06, 0x7FFF0000)
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, program)), 0, 0) == 0
"""
ASK_THE_HOST = 'import runpy\nrunpy.run_module("kernel_gateway.sandbox.host", run_name="__main__", alter_sys=True)'
DEMO = "from kernel_gateway.__main__ import main\nraise SystemExit(main())"


def without_namespaces(code, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-c", NO_NAMESPACES + code, *arguments], capture_output=True, text=True, **more
    )


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the profile of this test has the numbers of x86-64")
@pytest.mark.parametrize(("what_for", "code"), [("dev", 1), ("gateway", 0)])
def test_under_a_profile_that_refuses_namespaces_only_the_gateway_is_installed(what_for, code):
    done = without_namespaces(ASK_THE_HOST, what_for)
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert "a seccomp profile around this process refuses them, as Docker's default one does" in line


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the profile of this test has the numbers of x86-64")
def test_under_such_a_profile_the_demo_runs_without_namespaces_and_says_so(tmp_path):
    environment = {
        **os.environ,
        "KG_STORE__FOLDER": str(tmp_path / "state"),
        "KG_SANDBOX__IMAGE": str(ROOT / "build" / "kernel"),
    }
    done = without_namespaces(DEMO, "demo", "--once", "--port", "0", env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "running at the `filtered` level, without namespaces: a seccomp profile around this process" in done.stderr


def test_here_namespaces_are_allowed_and_trying_it_leaves_this_process_where_it_is():
    before = Path("/proc/self/mountinfo").read_text()
    assert try_namespaces() == ("", 0)
    assert Path("/proc/self/mountinfo").read_text() == before


def test_every_launcher_says_what_it_cannot_do_without():
    names = {layer.name for layer in layers()}
    assert set(NEEDS) == set(KernelSettings.model_fields["launcher"].annotation.__args__)
    assert set().union(*NEEDS.values()) <= names


def test_a_layer_that_a_launcher_can_do_without_is_absent_and_not_a_failure():
    by_launcher = {name: {each.name: each.optional for each in host(name)} for name in NEEDS}
    assert by_launcher["none"]["seccomp filters"]
    assert not by_launcher["filtered"]["seccomp filters"]
    assert by_launcher["filtered"]["user namespaces"]
    assert by_launcher["forkserver"]["memory cgroups"]
    assert Finding("x", False, "do this", optional=True).line() == "absent x: do this"
    assert Finding("x", False, "do this").line() == "FAILED x: do this"
