"""Attacks on who it is: a kernel is nobody outside its namespaces, makes no others and gets no power back."""

from kernel_gateway.sandbox.probes.probe import DENIED, Probe, of_family

PRIVILEGES = of_family(
    "kernel surface",
    Probe(
        "make a user namespace",
        """
def attack():
    child = system_call("clone", 0x10000000 | 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)
""",
        ("namespaces", "seccomp"),
        is_quick=True,
    ),
    Probe(
        "leave its namespaces for new ones",
        """
def attack():
    uts, ipc, net, mounts, cgroup = 0x04000000, 0x08000000, 0x40000000, 0x00020000, 0x02000000
    return any_of(*(lambda kind=kind: system_call("unshare", kind) == 0 for kind in (uts, ipc, cgroup, net, mounts)))
""",
        ("capabilities", "seccomp"),
    ),
    Probe(
        "enter the namespaces of another process",
        """
def attack():
    try:
        process = system_call("pidfd_open", os.getppid() or 1, 0)
    except OSError:
        process = 0
    return reached(lambda: system_call("setns", process, 0x04000000))
""",
        ("capabilities", "landlock", "seccomp"),
    ),
    Probe(
        "become root",
        """
def attack():
    return any_of(lambda: os.setresuid(0, 0, 0) is None, lambda: os.setresgid(0, 0, 0) is None)
""",
        ("capabilities", "seccomp"),
        (*DENIED, "EINVAL"),
        is_quick=True,
    ),
    Probe(
        "take back its capabilities",
        """
def attack():
    everything = (ctypes.c_uint32 * 6)(*[0xFFFFFFFF, 0xFFFFFFFF, 0, 0x1FF, 0x1FF, 0])
    return system_call("capset", (ctypes.c_uint32 * 2)(0x20080522, 0), everything) == 0
""",
        ("capabilities", "seccomp"),
    ),
    Probe(
        "rename the machine",
        """
def attack():
    return system_call("sethostname", b"kernel", 6) == 0
""",
        ("capabilities", "seccomp"),
    ),
    Probe(
        "let others look into it again",
        """
def attack():
    system_call("prctl", 4, 1, 0, 0, 0)
    return system_call("prctl", 3, 0, 0, 0, 0)
""",
        ("seccomp",),
    ),
)
