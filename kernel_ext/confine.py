"""What a kernel process gives up of its own accord, before any cell runs. Nothing of it can be taken back."""

import ctypes
import os
import resource
from collections.abc import Mapping
from typing import Any

_LIMITS = {
    "address_space_bytes": resource.RLIMIT_AS,
    "file_bytes": resource.RLIMIT_FSIZE,
    "open_files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "core_bytes": resource.RLIMIT_CORE,
    "locked_bytes": resource.RLIMIT_MEMLOCK,
    "queue_bytes": resource.RLIMIT_MSGQUEUE,
}


def limit_resources(limits: Mapping[str, int]) -> None:
    """Sets soft and hard limits, by the names of `_LIMITS`. An unknown name is a KeyError."""
    for name, value in limits.items():
        which = _LIMITS[name]
        _, hard = resource.getrlimit(which)
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (ceiling, ceiling))


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2


def refuse_system_calls(program: bytes) -> None:
    """Installs a seccomp filter, an array of 8-byte sock_filter, for this thread and all it will start."""
    libc = ctypes.CDLL(None, use_errno=True)
    loaded = _Program(len(program) // 8, program)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(loaded), 0, 0),
    ):
        if libc.prctl(*arguments):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def give_up(plan: Mapping[str, Any]) -> list[str]:
    limit_resources(plan["limits"])
    refuse_system_calls(bytes.fromhex(plan["filter"]))
    return ["limits", "seccomp"]


import contextlib  # noqa: E402
from collections.abc import Iterator  # noqa: E402

_libc = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def die_with_parent() -> None:
    _check(_libc.prctl(1, 9, 0, 0, 0))


@contextlib.contextmanager
def children_in_a_pid_namespace(plan: Mapping[str, Any]) -> Iterator[None]:
    mine = os.pidfd_open(os.getpid())
    me = os.getpid()
    _check(_libc.unshare(NEWPID))
    try:
        yield
    finally:
        if os.getpid() == me:
            _check(_libc.setns(mine, NEWPID))
        os.close(mine)


def leave_host(plan: Mapping[str, Any], proc_fd: int) -> None:
    uid, gid = os.getuid(), os.getgid()
    _check(_libc.unshare(NEWNS | NEWNET | NEWIPC | NEWUTS | NEWCGROUP))
    _check(_libc.mount(None, b"/", None, ctypes.c_ulong(0x4000 | 1 << 18), None))
    _check(_libc.umount2(b"/proc", 2))
    for scratch in plan["scratch"]:
        data = f"size={scratch['size_bytes']},nr_inodes={scratch['inodes']},mode=0700"
        _check(_libc.mount(b"tmpfs", scratch["target"].encode(), b"tmpfs", ctypes.c_ulong(2 | 4 | 8), data.encode()))
    _libc.sethostname(b"kernel", 6)
    _check(_libc.unshare(NEWUSER))
    for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {uid} 1"), ("gid_map", f"1000 {gid} 1")):
        fd = os.open(f"self/{name}", os.O_WRONLY, dir_fd=proc_fd)
        os.write(fd, text.encode())
        os.close(fd)
    os.close(proc_fd)
    os.chdir(plan["home"])
