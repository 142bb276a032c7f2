"""Attacks on the host's Linux: what no cell needs of it is out of reach, whatever faults it has."""

from kernel_gateway.sandbox.probes.probe import DENIED, Probe, of_family

_HOSTS_OWN_ROOT = "only the host's own root may, and a control would be done to the host"

SURFACE = of_family(
    "kernel surface",
    Probe(
        "keep a key in the host's kernel",
        """
def attack():
    return system_call("add_key", b"user", b"probe", b"value", 5, -2)
""",
        ("seccomp",),
    ),
    Probe(
        "load a program into the host's kernel",
        """
def attack():
    map_of_one = (ctypes.c_uint32 * 32)(2, 4, 4, 1)
    return system_call("bpf", 0, map_of_one, 128)
""",
        ("capabilities", "seccomp"),
        why_no_control="hosts switch it off for everybody but their own root",
    ),
    Probe(
        "queue work that passes by the filter",
        """
def attack():
    return system_call("io_uring_setup", 4, (ctypes.c_uint8 * 120)())
""",
        ("limits", "seccomp"),
        is_quick=True,
    ),
    Probe(
        "count events of the processor",
        """
def attack():
    software_clock = (ctypes.c_uint64 * 16)(1 | 128 << 32, 0)
    software_clock[5] = 0b1100000
    return system_call("perf_event_open", software_clock, 0, -1, -1, 0)
""",
        ("seccomp",),
    ),
    Probe(
        "handle its own page faults",
        """
def attack():
    return system_call("userfaultfd", 1)
""",
        ("seccomp",),
    ),
    Probe(
        "load or unload a kernel module",
        """
def attack():
    return any_of(
        lambda: reached(lambda: system_call("init_module", 0, 0, b"")),
        lambda: reached(lambda: system_call("finit_module", -1, b"", 0)),
        lambda: reached(lambda: system_call("delete_module", b"no_such_module", 0)),
    )
""",
        ("capabilities", "seccomp"),
        why_no_control=_HOSTS_OWN_ROOT,
    ),
    Probe(
        "put another kernel in place",
        """
def attack():
    return reached(lambda: system_call("kexec_load", 0, 1 << 20, 0, 0))
""",
        ("capabilities", "seccomp"),
        why_no_control=_HOSTS_OWN_ROOT,
    ),
    Probe(
        "reboot the machine",
        """
def attack():
    wrong_word = 0x1234567  # so that nothing happens where nothing stops it
    return reached(lambda: system_call("reboot", wrong_word, 0, 0, 0))
""",
        ("capabilities", "seccomp"),
    ),
    Probe(
        "set the clock",
        """
def attack():
    no_time = (ctypes.c_long * 2)(0, -1)  # so that nothing happens where nothing stops it
    return any_of(
        lambda: reached(lambda: system_call("clock_settime", 0, no_time)),
        lambda: system_call("adjtimex", (ctypes.c_uint8 * 256)()) >= 0,
    )
""",
        ("seccomp",),
    ),
    Probe(
        "choose another way to be executed",
        """
def attack():
    before = system_call("personality", 0xFFFFFFFF)
    system_call("personality", before | 0x0040000)
    system_call("personality", before)
    return "addresses are no longer random"
""",
        ("seccomp",),
    ),
    Probe(
        "call by the numbers of x32",
        """
def attack():
    return system_call(0x40000000 | 39)
""",
        ("seccomp",),
        why_no_control="a Linux without x32 refuses these numbers itself, and most are built so",
    ),
    Probe(
        "call by the numbers of another architecture",
        """
import mmap, platform
def attack():
    if platform.machine() != "x86_64":
        return None
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("b814000000cd80c3"))  # eax = 20, getpid of i386; int 0x80; return
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
""",
        ("seccomp",),
        (*DENIED, "nothing"),
        ends=("refused", "lost"),
    ),
    Probe(
        "filter system calls itself",
        """
def attack():
    allow = ctypes.create_string_buffer(bytes.fromhex("060000000000ff7f"), 8)
    program = (ctypes.c_uint64 * 2)(1, ctypes.addressof(allow))
    return system_call("seccomp", 1, 8, program)
""",
        ("seccomp",),
    ),
    Probe(
        "share memory by System V",
        """
def attack():
    return any_of(
        lambda: system_call("shmget", 0, 4096, 0o1600) + 1,
        lambda: system_call("semget", 0, 1, 0o1600) + 1,
        lambda: system_call("msgget", 0, 0o1600) + 1,
    )
""",
        ("seccomp",),
    ),
    Probe(
        "open a message queue",
        """
def attack():
    return system_call("mq_open", b"probe", os.O_CREAT | os.O_RDWR, 0o600, 0)
""",
        ("landlock", "limits", "seccomp"),
        (*DENIED, "EMFILE"),
    ),
    Probe(
        "change its segment table",
        """
def attack():
    return system_call("modify_ldt", 0, ctypes.create_string_buffer(64), 64) >= 0
""",
        ("seccomp",),
    ),
    Probe(
        "read the host's kernel log",
        """
def attack():
    return system_call("syslog", 10, 0, 0)
""",
        ("capabilities", "seccomp"),
        why_no_control="many hosts keep it to their own root",
    ),
    Probe(
        "leave descriptors under way, which count for every kernel",
        """
import socket
def attack():
    near, far = socket.socketpair()
    return socket.send_fds(near, [b"held"], [near.fileno()] * 250)
""",
        ("seccomp",),
    ),
    Probe(
        "put its own pages into a pipe",
        """
def attack():
    _, end = os.pipe()
    page = ctypes.create_string_buffer(64)
    return system_call("vmsplice", end, (ctypes.c_size_t * 2)(ctypes.addressof(page), 64), 1, 0)
""",
        ("seccomp",),
    ),
    Probe(
        "choose where its memory lies",
        """
def attack():
    return system_call("set_mempolicy", 0, 0, 0) == 0
""",
        ("seccomp",),
    ),
    Probe(
        "make the host write out all its disks",
        """
def attack():
    return system_call("sync") == 0
""",
        ("seccomp",),
    ),
    Probe(
        "account, swap or set quotas",
        """
def attack():
    return any_of(
        lambda: reached(lambda: system_call("acct", b"/no/such/file")),
        lambda: reached(lambda: system_call("swapon", b"/no/such/file", 0)),
        lambda: reached(lambda: system_call("quotactl", 0x800003 << 8, b"/no/such/file", 0, 0)),
    )
""",
        ("capabilities", "seccomp"),
        why_no_control=_HOSTS_OWN_ROOT,
    ),
    Probe(
        "ask a file system for more than files",
        """
import fcntl
def attack():
    with open(MINE + "/asked", "w") as file:
        get_flags, dedupe = 0x80086601, 0xC0189436
        return any_of(*(lambda ask=ask: fcntl.ioctl(file, ask, bytes(64)) for ask in (get_flags, dedupe)))
""",
        ("seccomp",),
        (*DENIED, "ENOTTY"),
    ),
    Probe(
        "set up a terminal",
        """
import fcntl
def attack():
    near, far = os.openpty()
    return fcntl.ioctl(far, 0x5414, bytes(8)) is not None
""",
        ("root", "landlock", "seccomp"),
        (*DENIED, "ENOENT", "ENOTTY"),
    ),
)
