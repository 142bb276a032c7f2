"""What this host gives a sandbox: which layer holds, which is absent and what to do. Standard library only.

`python3 -m kernel_gateway.sandbox.host gateway`, which `make install` asks first, exits 1 with one line where nothing
could be sandboxed; with `dev` also where only the launcher without namespaces could serve, for the tests need all.
"""

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kernel_gateway.sandbox.cgroups import CONTROLLERS, Cgroups

_NEW_NAMESPACES = (
    0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000
)  # user mnt pid net ipc uts
_CREATE_RULESET = 444  # landlock_create_ruleset(2), the same number on every architecture
_RULESET_VERSION = 1
_REFUSED_STEP = {1: "unshare", 2: "mount"}


@dataclass(frozen=True, slots=True)
class Layer:
    """`detail` is what was found, or what to do where the layer is absent."""

    name: str
    holds: bool
    detail: str


def layers() -> list[Layer]:
    """Asks the host for each, by trying where it can be tried."""
    return [_namespaces(), _bubblewrap(), _seccomp(), _landlock(), *_cgroups(), _ordinary_user()]


def _namespaces() -> Layer:
    step, number = try_namespaces()
    if not step:
        return Layer("user namespaces", True, "")
    return Layer("user namespaces", False, what_forbids_namespaces(step, number, _setting, os.geteuid() == 0))


def try_namespaces() -> tuple[str, int]:
    """The first step that is refused and its errno; or nothing. In a child, for what is unshared stays so."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        step = 0
        if libc.unshare(ctypes.c_int(_NEW_NAMESPACES)):
            step = 1
        elif libc.mount(b"tmpfs", b"/tmp", b"tmpfs", ctypes.c_ulong(0), None):  # some hosts forbid this one alone
            step = 2
        os.write(writing, bytes([step, ctypes.get_errno() if step else 0]))
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    told = os.read(reading, 2) or b"\1\0"
    os.close(reading)
    return _REFUSED_STEP.get(told[0], ""), told[1]


def what_forbids_namespaces(step: str, number: int, setting: Callable[[str], str], as_root: bool) -> str:
    """One line: what refuses it, as far as the host's settings tell, and what to do."""
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" and not as_root:
        return (
            "Ubuntu's AppArmor switch refuses them to ordinary users; run "
            "`sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or give bwrap a profile that allows `userns`"
        )
    if setting("/proc/sys/user/max_user_namespaces") == "0" or number == errno.ENOSPC:
        return "none may be made, or no more of them; run `sysctl user.max_user_namespaces=10000`"
    if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" and not as_root:
        return "they are switched off for ordinary users; run `sysctl kernel.unprivileged_userns_clone=1`"
    if "\nSeccomp:\t2\n" in setting("/proc/self/status"):
        return (
            "a seccomp profile around this process refuses them, as Docker's default one does; start the container "
            "with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`"
        )
    return (
        f"{step} is refused ({os.strerror(number)}); in a container allow it with "
        "`--security-opt seccomp=unconfined --security-opt apparmor=unconfined`"
    )


def _setting(path: str) -> str:
    """The content of a file under /proc; empty where this host has none."""
    try:
        return Path(path).read_text().rstrip(" ") if path.endswith("status") else Path(path).read_text().strip()
    except OSError:
        return ""


def _bubblewrap() -> Layer:
    program = shutil.which("bwrap")
    return Layer("bubblewrap", program is not None, program or "run `apt-get install bubblewrap`")


def _seccomp() -> Layer:
    actions = _setting("/proc/sys/kernel/seccomp/actions_avail").split()
    if "errno" in actions:
        return Layer("seccomp filters", True, "")
    return Layer("seccomp filters", False, "this Linux has none (CONFIG_SECCOMP_FILTER); use another kernel")


def _landlock() -> Layer:
    version = ctypes.CDLL(None, use_errno=True).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _RULESET_VERSION)
    if version > 0:
        return Layer("Landlock", True, f"ABI {version}")
    return Layer("Landlock", False, "this Linux has none; the other layers stand; boot with `lsm=landlock,...` for it")


def _cgroups() -> list[Layer]:
    found = Cgroups.find()
    versions = {name: f"version {hierarchy.version}" for name, hierarchy in found.hierarchies.items()}
    advice = "resource limits of the process stand in; for it, run as a systemd service with `Delegate=yes`"
    return [
        Layer(f"{name} cgroups", name in versions, versions.get(name) or f"{found.missing[name]}; {advice}")
        for name in CONTROLLERS
    ]


def _ordinary_user() -> Layer:
    name = "an ordinary user"
    if os.geteuid():
        return Layer(name, True, f"uid {os.geteuid()}")
    return Layer(name, False, "this is root, whose threads RLIMIT_NPROC does not bind; only a pids cgroup does")


if __name__ == "__main__":
    allowed = _namespaces()
    if not allowed.holds:
        print(f"this host lets the gateway make no user namespaces: {allowed.detail}", file=sys.stderr)
        sys.exit(0 if sys.argv[1:] == ["gateway"] and _seccomp().holds and _landlock().holds else 1)
