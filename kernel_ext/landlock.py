"""Landlock: which files a process may touch, whatever its user may. Best effort by what the running Linux knows.

Rights, structures and what each version added: https://docs.kernel.org/userspace-api/landlock.html. No right is ever
given to run a program: shared libraries need none, Landlock asks for it at execve only.
"""

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterable

from kernel_ext.system_calls import syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION, _RULE_PATH_BENEATH = 1, 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG, _MAKE_SYM, _REFER, _TRUNCATE = 1 << 7, 1 << 8, 1 << 12, 1 << 13, 1 << 14

READ = _READ_FILE | _READ_DIR
WRITE = READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM | _REFER | _TRUNCATE
_OF_A_FILE = _READ_FILE | _WRITE_FILE | _TRUNCATE

_DEVICES = {
    "/dev/null": _READ_FILE | _WRITE_FILE,
    "/dev/zero": _READ_FILE,
    "/dev/random": _READ_FILE,
    "/dev/urandom": _READ_FILE,
}

_HANDLED = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}  # refer, truncate, ioctl_dev
_TCP, _SCOPES = 0b11, 0b11  # bind and connect; abstract Unix sockets and signals of processes outside


class _Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr. An older Linux takes a longer one if what it does not know is 0."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The newest version that this Linux knows; 0 where it has no Landlock, or it is switched off."""
    try:
        return syscall(_CREATE_RULESET, 0, 0, _ASK_VERSION)
    except OSError:
        return 0


def restrict(read: Iterable[str], write: Iterable[str]) -> int:
    """From now on this thread, and all it starts, may read only beneath `read` and write only beneath `write`.

    Needs no_new_privs. Returns the version used, 0 where there is none; a path that is not there is left out.
    """
    if not (known := version()):
        return 0
    handled = max(rights for since, rights in _HANDLED.items() if since <= known)
    wanted = _Ruleset(handled, _TCP if known >= 4 else 0, _SCOPES if known >= 6 else 0)
    ruleset = syscall(_CREATE_RULESET, ctypes.byref(wanted), ctypes.sizeof(wanted), 0)
    try:
        for rights, paths in ((READ, read), (WRITE, write)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        for path, rights in _DEVICES.items():
            _allow(ruleset, path, rights)
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return known


def _allow(ruleset: int, path: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(parent).st_mode):
                rights &= _OF_A_FILE
            syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(_Beneath(rights, parent)), 0)
        finally:
            os.close(parent)
