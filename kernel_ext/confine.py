"""What a kernel process gives up before any cell runs, in order. Nothing of it can be taken back.

It follows a plan, which the gateway makes (`SandboxSpec.plan`) and which holds no secret:
{"layers": names of what this process must do itself, "limits": {name: number}, "scratch": [{"target", "size_bytes",
"inodes"}], "read": [path], "write": [path], "needs": layers without
which there is no kernel, "filter": hex of a BPF program, "home": path, "uid": number}
A step that fails raises OSError, and then there is no kernel; only Landlock may be absent from a host.
"""

import errno
import os
import resource
import signal
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kernel_ext import landlock
from kernel_ext import system_calls as linux

SELF = 0x5E1F5E1F
"""Stands in a filter for the process it will confine; above any process id of Linux (2**22)."""

_OWN_VIEW = (  # of mounts, network, System V memory, host name and cgroups
    linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS | linux.CLONE_NEWCGROUP
)
_LIMITS = {
    "address_space_bytes": resource.RLIMIT_AS,
    "file_bytes": resource.RLIMIT_FSIZE,
    "open_files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "core_bytes": resource.RLIMIT_CORE,
    "locked_bytes": resource.RLIMIT_MEMLOCK,
    "queue_bytes": resource.RLIMIT_MSGQUEUE,
}
_CAP_SETPCAP = 1 << 8
# Root gains nothing by being root, and no capability by a change of user or by inheritance; locked, all of them.
_SECUREBITS = 0b1110_1111


@contextmanager
def children_in_a_pid_namespace(plan: Mapping[str, Any]) -> Iterator[None]:
    """A child that is forked in here is process 1 of a namespace of its own; later ones are not."""
    if "namespaces" not in plan["layers"]:
        yield
        return
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    before = os.getpid()
    try:
        linux.unshare(linux.CLONE_NEWPID)
        yield
    finally:
        if os.getpid() == before:  # the child is 1 there and stays
            linux.setns(own, linux.CLONE_NEWPID)
        os.close(own)


def die_with_parent() -> None:
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)


def leave_host(plan: Mapping[str, Any], proc_fd: int) -> None:
    """Own namespaces, own empty folders, no /proc, and a user who is nobody outside.

    `proc_fd` is an O_PATH descriptor of a /proc that still shows this process; it is closed.
    """
    if "namespaces" in plan["layers"]:
        linux.unshare(_OWN_VIEW)
        linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
        linux.umount2("/proc", linux.MNT_DETACH)
        for scratch in plan["scratch"]:
            _mount_scratch(**scratch)
        linux.sethostname("kernel")
        # Last: it does not own the namespaces above, so that no capability in it can touch them.
        _enter_user_namespace(plan["uid"], proc_fd)
    os.close(proc_fd)
    os.chdir(plan["home"])


def _mount_scratch(target: str, size_bytes: int, inodes: int) -> None:
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    linux.mount("tmpfs", target, "tmpfs", flags, f"size={size_bytes},nr_inodes={inodes},mode=0700")


def _enter_user_namespace(uid: int, proc_fd: int) -> None:
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER)
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{uid} {outer_gid} 1"),
    ):
        fd = os.open(f"self/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc_fd)
        try:
            os.write(fd, line.encode())
        finally:
            os.close(fd)


def give_up(plan: Mapping[str, Any]) -> list[str]:
    """Limits, capabilities, the hope for more of them, files, system calls. Returns the layers that hold."""
    wanted, held = plan["layers"], []
    if not wanted:
        return []
    if "limits" in wanted:
        limit_resources(plan["limits"])
        held.append("limits")
    if "capabilities" in wanted:
        drop_capabilities()
        held.append("capabilities")
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    linux.prctl(linux.PR_SET_DUMPABLE, 0)  # no other process of this user may look into it
    if "landlock" in wanted and landlock.restrict(plan["read"], plan["write"]):
        held.append("landlock")
    if "seccomp" in wanted:
        refuse_system_calls(bytes.fromhex(plan["filter"]))
        held.append("seccomp")
    if missing := set(plan["needs"]) - set(held):
        raise OSError(errno.ENOSYS, f"this host has no {', '.join(missing)}, and nothing else here does its work")
    return held


def limit_resources(limits: Mapping[str, int]) -> None:
    """Sets soft and hard limits, by the names of `_LIMITS`. An unknown name is a KeyError."""
    for name, value in limits.items():
        which = _LIMITS[name]
        _, hard = resource.getrlimit(which)
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (ceiling, ceiling))


def drop_capabilities() -> None:
    """All of them, for good. Who may not change the bounding set has none to lose from it under no_new_privs."""
    if linux.effective_capabilities() & _CAP_SETPCAP:
        for capability in range(64):
            try:
                linux.prctl(linux.PR_CAPBSET_READ, capability)
            except OSError:
                break  # beyond the last that this Linux knows
            linux.prctl(linux.PR_CAPBSET_DROP, capability)
        linux.prctl(linux.PR_SET_SECUREBITS, _SECUREBITS)
    linux.prctl(linux.PR_CAP_AMBIENT, linux.PR_CAP_AMBIENT_CLEAR_ALL)
    linux.clear_capabilities()


def refuse_system_calls(program: bytes) -> None:
    """Installs a compiled filter, with this process in the place of `SELF`. Needs no_new_privs."""
    linux.set_filter(program.replace(struct.pack("=I", SELF), struct.pack("=I", os.getpid())))
