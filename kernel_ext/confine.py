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
