"""Whether this host allows the namespaces a sandbox is made of. Standard library only: `make install` asks it first.

`python3 -m kernel_gateway.sandbox.host` exits 1 with one line where it does not.
"""

import ctypes
import os
import sys

_NEW_NAMESPACES = (
    0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000
)  # user mnt pid net ipc uts

ADVICE = (
    "this host lets the gateway make no user namespaces, so nothing could be sandboxed; allow them: "
    "in a container `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`, "
    "on Ubuntu `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, "
    "elsewhere `sysctl user.max_user_namespaces=10000`"
)


def namespaces_allowed() -> bool:
    """Tries it in a child, for what is unshared stays so; and mounts there, which some hosts forbid apart."""
    child = os.fork()
    if child == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.unshare(ctypes.c_int(_NEW_NAMESPACES)) or libc.mount(
            b"tmpfs", b"/tmp", b"tmpfs", ctypes.c_ulong(0), None
        )
        os._exit(1 if failed else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


if __name__ == "__main__":
    if not namespaces_allowed():
        print(ADVICE, file=sys.stderr)
        sys.exit(1)
