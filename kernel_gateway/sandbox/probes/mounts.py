"""Attacks on the tree of mounts: it stays as it was given."""

from kernel_gateway.sandbox.probes.probe import DENIED, Probe, of_family

MOUNTS = of_family(
    "files",
    Probe(
        "make the read-only root writable again",
        """
def attack():
    system_call("mount", b"none", b"/", 0, 0x20 | 0x1000, 0)
    return "remounted"
""",
        ("capabilities", "landlock", "seccomp"),
    ),
    Probe(
        "mount a file system",
        """
def attack():
    place = SCRATCH + "/mounted"
    os.makedirs(place, exist_ok=True)
    system_call("mount", b"tmpfs", place.encode(), b"tmpfs", 0, 0)
    return system_call("umount2", place.encode(), 2) == 0
""",
        ("capabilities", "landlock", "seccomp"),
        is_quick=True,
    ),
    Probe(
        "assemble a mount from its parts",
        """
def attack():
    parts = system_call("fsopen", b"tmpfs", 0)
    system_call("fsconfig", parts, 6, 0, 0, 0)
    return system_call("fsmount", parts, 0, 0)
""",
        ("capabilities", "seccomp"),
    ),
    Probe(
        "copy the tree of mounts",
        """
def attack():
    return system_call("open_tree", -100, b"/", 1 | 0x80000)
""",
        ("capabilities", "seccomp"),
    ),
    Probe(
        "uncover what a mount hides",
        """
def attack():
    return reached(lambda: system_call("umount2", b"/dev/shm", 2))
""",
        ("capabilities", "landlock", "seccomp"),
        (*DENIED, "EINVAL"),
    ),
    Probe(
        "climb out of its root",
        """
def attack():
    cell = SCRATCH + "/cell"
    os.makedirs(cell, exist_ok=True)
    root = os.open("/", os.O_RDONLY)
    system_call("chroot", cell.encode())
    os.fchdir(root)
    system_call("chroot", b".")
    os.chdir(MINE)
    os.close(root)
    return "the outer root was entered again"
""",
        ("capabilities", "landlock", "seccomp"),
    ),
)
