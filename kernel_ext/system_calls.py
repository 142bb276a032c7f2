"""The system calls that Python has no function for, each as one that raises OSError. Linux, x86_64 and aarch64."""

import ctypes
import os
import platform
from typing import Any

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x8, 0x4000, 0x40000
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_SECUREBITS, PR_CAP_AMBIENT = 23, 24, 28, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_NUMBERS = {
    "x86_64": {"capget": 125, "capset": 126, "seccomp": 317},
    "aarch64": {"capget": 90, "capset": 91, "seccomp": 277},
}[platform.machine()]
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: Any) -> int:
    """Integers are passed as C longs, everything else as ctypes passes it."""
    return _checked(
        _libc.syscall(
            ctypes.c_long(number), *(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
        )
    )


def unshare(flags: int) -> None:
    _checked(_libc.unshare(ctypes.c_int(flags)))


def setns(fd: int, kind: int) -> None:
    _checked(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)))


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    _checked(
        _libc.mount(
            source.encode(),
            target.encode(),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            options.encode() if options else None,
        )
    )


def umount2(target: str, flags: int) -> None:
    _checked(_libc.umount2(target.encode(), ctypes.c_int(flags)))


def sethostname(name: str) -> None:
    _checked(_libc.sethostname(name.encode(), ctypes.c_size_t(len(name))))


def prctl(operation: int, *arguments: int) -> int:
    padded = [*arguments, 0, 0, 0, 0][:4]
    return _checked(_libc.prctl(ctypes.c_int(operation), *(ctypes.c_ulong(each) for each in padded)))


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySets(ctypes.Structure):
    """Capabilities 0 to 31; a second one of these holds 32 to 63."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def effective_capabilities() -> int:
    """A bit for each, CAP_CHOWN the lowest."""
    low, high = sets = (_CapabilitySets * 2)()
    syscall(_NUMBERS["capget"], ctypes.byref(_CapabilityHeader(_CAPABILITY_VERSION_3, 0)), ctypes.byref(sets))
    return int(low.effective) | int(high.effective) << 32


def clear_capabilities() -> None:
    """None is effective, permitted or inheritable any more."""
    none = (_CapabilitySets * 2)()
    syscall(_NUMBERS["capset"], ctypes.byref(_CapabilityHeader(_CAPABILITY_VERSION_3, 0)), ctypes.byref(none))


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def set_filter(program: bytes) -> None:
    """A seccomp filter, an array of 8-byte struct sock_filter, for every thread of this process and all it starts."""
    loaded = _Program(len(program) // 8, program)
    if blocking := syscall(
        _NUMBERS["seccomp"], _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(loaded)
    ):
        raise OSError(f"thread {blocking} cannot take the filter")


def _checked(returned: int) -> int:
    if returned < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return returned
