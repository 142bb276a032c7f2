"""Attacks on files: the host's cannot be read, written, seen or uncovered."""

from kernel_gateway.sandbox.probes.probe import DENIED, HIDDEN, READ_ONLY, Probe, of_family

_HOSTS_OWN_ROOT = "only the host's own root may, and a control would hand it the host"

FILES = of_family(
    "files",
    Probe(
        "find an open file or folder among its descriptors",
        """
import mmap, stat
def can_write(fd):
    for attempt in (
        lambda: os.pwrite(fd, b'x', 0),
        lambda: os.ftruncate(fd, 4096),
        lambda: mmap.mmap(fd, 4096, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE),
        lambda: os.open(f'/proc/self/fd/{fd}', os.O_RDWR),
        lambda: (os.fchmod(fd, 0o600), os.open(f'/proc/self/fd/{fd}', os.O_RDWR)),
    ):
        try:
            attempt()
            return True
        except (OSError, ValueError):
            pass
    return False
def attack():
    found = []
    for fd in range(1024):
        try:
            status = os.fstat(fd)
        except OSError:
            continue
        mode = status.st_mode
        if stat.S_ISREG(mode) and status.st_nlink == 0 and not can_write(fd):
            continue  # the kernel's own memory file, which has no name anywhere
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISBLK(mode):
            found.append(fd)
    return found
""",
        ("gateway",),
        HIDDEN,
    ),
    Probe(
        "read a file of the host",
        """
def attack():
    return open(HOST["file"]).read()
""",
        ("root", "landlock"),
        HIDDEN,
        is_quick=True,
    ),
    Probe(
        "write into a folder of the host",
        """
def attack():
    with open(HOST["folder"] + "/written", "w") as file:
        return file.write("hello")
""",
        ("root", "landlock"),
        READ_ONLY,
        is_quick=True,
    ),
    Probe(
        "change the mode and the times of a file of the host",
        """
def attack():
    os.chmod(HOST["file"], 0o777)
    os.utime(HOST["file"], (0, 0))
    return "changed"
""",
        ("root", "landlock", "seccomp"),
        READ_ONLY,
    ),
    Probe(
        "learn whether a file of the host exists",
        """
def attack():
    return os.stat(HOST["file"]).st_size
""",
        ("root",),
        HIDDEN,
        not_on={"filtered": "Landlock does not cover stat, and without namespaces nothing else does"},
    ),
    Probe(
        "look into a home folder",
        """
import glob
def attack():
    homes = {os.path.join("/", "root"), *glob.glob(os.path.join("/", "home", "*"))} - {MINE}
    return any_of(*(lambda home=home: os.listdir(home) for home in homes))
""",
        ("root", "landlock"),
        HIDDEN,
    ),
    Probe(
        "read who uses the host",
        """
def attack():
    return [line for line in open("/etc/passwd") if not line.startswith("kernel:")]
""",
        ("root", "landlock"),
        HIDDEN,
    ),
    Probe(
        "read the table of mounts",
        """
def attack():
    files = ("/proc/self/mountinfo", "/proc/mounts", "/proc/1/mounts", "/etc/mtab")
    return any_of(*(lambda file=file: open(file).read(100) for file in files))
""",
        ("root", "landlock"),
        HIDDEN,
    ),
    Probe(
        "read the host's settings and hardware",
        """
def attack():
    found = [os.path.join(folder, name) for top in ("/sys", "/proc/sys", "/boot", "/run", "/var")
             for folder, _, names in os.walk(top) for name in names[:1]]
    return found[:3]
""",
        ("root", "landlock"),
        HIDDEN,
    ),
    Probe(
        "find a device of the host",
        """
import stat
def attack():
    harmless = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
    found = [entry.name for entry in os.scandir("/dev") if entry.name not in harmless and not entry.is_symlink()
             and (stat.S_ISCHR(entry.stat().st_mode) or stat.S_ISBLK(entry.stat().st_mode))]
    return found[:3]
""",
        ("root", "landlock"),
        HIDDEN,
    ),
    Probe(
        "make a device node of a disk",
        """
import stat
def attack():
    os.mknod(MINE + "/disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0))
    return os.open(MINE + "/disk", os.O_RDONLY)
""",
        ("capabilities", "seccomp"),
        why_no_control=_HOSTS_OWN_ROOT,
    ),
    Probe(
        "write where programs come from",
        """
import kernel_ext
def attack():
    folders = [os.path.dirname(kernel_ext.__file__), os.path.dirname(os.__file__), "/usr/lib", "/etc"]
    unnamed = os.O_TMPFILE | os.O_WRONLY
    return any_of(*(lambda folder=folder: os.open(folder, unnamed) for folder in folders))
""",
        ("root", "landlock"),
        READ_ONLY,
    ),
    Probe(
        "take a handle on a file that needs no path",
        """
def attack():
    handle = ctypes.create_string_buffer((64).to_bytes(4, "little") + bytes(68), 72)
    system_call("name_to_handle_at", -100, MINE.encode(), handle, ctypes.byref(ctypes.c_int()), 0)
    return handle.raw[:16].hex()
""",
        ("seccomp",),
    ),
    Probe(
        "open a file of the host by a guessed handle",
        """
def attack():
    first_file = (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2).to_bytes(8, "little")
    beside = os.open("/usr", os.O_RDONLY)
    try:
        return system_call("open_by_handle_at", beside, first_file, os.O_RDONLY)
    finally:
        os.close(beside)
""",
        ("capabilities", "seccomp"),
        why_no_control=_HOSTS_OWN_ROOT,
    ),
    Probe(
        "climb out by links and dots",
        """
def attack():
    link = MINE + "/way"
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink("../" * 12 + HOST["file"].lstrip("/"), link)
    os.chdir(MINE)
    return os.read(any_of(lambda: os.open("way", os.O_RDONLY), lambda: os.open("../.." + HOST["file"], 0)), 100)
""",
        ("root", "landlock"),
        HIDDEN,
    ),
    Probe(
        "leave a file where the host can find it",
        """
def attack():
    for folder in ("/tmp", "/dev/shm", "/var/tmp", "/run", MINE):
        try:
            open(os.path.join(folder, HOST["marker"]), "w").close()
        except OSError:
            pass
""",
        ("root", "landlock"),
        HIDDEN,
    ),
    Probe(
        "watch which files others open",
        """
def attack():
    watcher = system_call("inotify_init1", 0)
    return system_call("inotify_add_watch", watcher, os.path.dirname(os.__file__).encode(), 0x20)
""",
        ("seccomp",),
    ),
    Probe(
        "watch a whole file system",
        """
def attack():
    return system_call("fanotify_init", 0x200, os.O_RDONLY)
""",
        ("seccomp",),
    ),
    Probe(
        "make the host wait for a file that everybody shares",
        """
import fcntl
def attack():
    shared = os.open(os.__file__, os.O_RDONLY)
    try:
        fcntl.fcntl(shared, 1024, fcntl.F_RDLCK)
        return "a lease"
    finally:
        os.close(shared)
""",
        ("seccomp",),
    ),
    Probe(
        "give a program of its own powers",
        """
def attack():
    program = SCRATCH + "/powerful"
    open(program, "w").close()
    os.setxattr(program, "security.capability", bytes.fromhex("0000000200000000" "0000000000000000" "00000000"))
    return os.getxattr(program, "security.capability")
""",
        ("capabilities", "seccomp"),
        (*DENIED, "EOPNOTSUPP", "ENOTSUP"),
    ),
    Probe(
        "find the sockets of other kernels",
        """
import glob
def attack():
    return glob.glob("/tmp/kg-*/k-*")
""",
        ("root", "landlock"),
        HIDDEN,
    ),
)
