"""Attacks on the host's resources: each is refused inside, or takes down its own kernel within two seconds."""

from kernel_gateway.sandbox.probes.probe import DENIED, Probe, of_family

_QUICKLY = 2.0
_ON_A_BUSY_MACHINE = 40.0
_HOSTS_MEMORY = "it would take the memory of the host; `reserve addresses without end` meets the same limit untouched"

RESOURCES = of_family(
    "resources",
    Probe(
        "fill the memory",
        """
def attack():
    held = []
    for _ in range(128):
        held.append(b"x" * (64 << 20))
    return len(held)
""",
        ("limits", "cgroup"),
        ("MemoryError",),
        ends=("refused", "lost"),
        seconds=_ON_A_BUSY_MACHINE,
        within_seconds=_QUICKLY,
        why_no_control=_HOSTS_MEMORY,
    ),
    Probe(
        "reserve addresses without end",
        """
import mmap
def attack():
    return len(mmap.mmap(-1, 1 << 40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000))
""",
        ("limits",),
        ("ENOMEM",),
        within_seconds=_QUICKLY,
    ),
    Probe(
        "start threads without end",
        """
import threading
def attack():
    release, started = threading.Event(), 0
    threading.stack_size(64 << 10)
    try:
        for started in range(1, 3001):
            threading.Thread(target=release.wait, daemon=True).start()
        return started
    finally:
        release.set()
        threading.stack_size(0)
""",
        ("limits", "cgroup"),
        ("RuntimeError",),
        within_seconds=_QUICKLY,
    ),
    Probe(
        "fill its folders",
        """
def attack():
    def filled(folder):
        path = os.path.join(folder, "filler")
        try:
            with open(path, "wb") as file:
                for _ in range(48):
                    file.write(bytes(8 << 20))
            return folder
        finally:
            os.unlink(path)
    return any_of(*(lambda folder=folder: filled(folder) for folder in ("/dev/shm", SCRATCH, MINE)))
""",
        ("root", "limits"),
        (*DENIED, "ENOSPC", "EFBIG"),
        within_seconds=_QUICKLY,
    ),
    Probe(
        "make files without end",
        """
import shutil
def attack():
    os.makedirs(SCRATCH + "/many", exist_ok=True)
    try:
        for number in range(20_000):
            os.close(os.open(SCRATCH + "/many/%d" % number, os.O_CREAT | os.O_WRONLY))
        return number
    finally:
        shutil.rmtree(SCRATCH + "/many")
""",
        ("root",),
        ("ENOSPC",),
        within_seconds=_QUICKLY,
        not_on={
            "bwrap": "bubblewrap mounts memory file systems with a size and no number of files",
            "filtered": "without namespaces its folder is the host's",
        },
    ),
    Probe(
        "make a file without end",
        """
def attack():
    with open(MINE + "/long", "wb") as file:
        try:
            return file.truncate(1 << 40)
        finally:
            os.unlink(file.name)
""",
        ("limits",),
        ("EFBIG",),
        within_seconds=_QUICKLY,
    ),
    Probe(
        "open files without end",
        """
import resource
def attack():
    held = []
    try:
        for _ in range(900):
            held.append(os.open("/dev/null", os.O_RDONLY))
        return len(held)
    finally:
        for fd in held:
            os.close(fd)
""",
        ("limits",),
        ("EMFILE",),
        within_seconds=_QUICKLY,
    ),
    Probe(
        "lock memory",
        """
def attack():
    block = ctypes.create_string_buffer(4096)
    return system_call("mlock", block, len(block)) == 0
""",
        ("limits", "seccomp"),
        (*DENIED, "ENOMEM"),
    ),
    Probe(
        "hold memory that no folder counts",
        """
def attack():
    return any_of(lambda: system_call("memfd_create", b"hidden", 0), lambda: system_call("memfd_secret", 0))
""",
        ("seccomp",),
    ),
    Probe(
        "raise its own limits",
        """
import resource
def attack():
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return resource.getrlimit(resource.RLIMIT_AS)
""",
        ("limits", "seccomp"),
        (*DENIED, "ValueError"),
        is_quick=True,
    ),
    Probe(
        "come before others at the processor",
        """
def attack():
    real_time = os.sched_param(1)
    return any_of(
        lambda: os.setpriority(os.PRIO_PROCESS, 0, -10) is None,
        lambda: os.sched_setscheduler(0, os.SCHED_FIFO, real_time) is None,
    )
""",
        ("capabilities", "seccomp"),
        why_no_control="only the host's own root may, so no control could show it without being that",
    ),
    Probe(
        "keep the processor for ever",
        """
import time
end = time.monotonic() + 6
while time.monotonic() < end:
    pass
print("alive")
""",
        ("gateway",),
        ends=("stopped",),
        seconds=0.5,
    ),
    Probe(
        "unpack a picture that is vast",
        """
import io, struct, zlib
from PIL import Image
def attack():
    def chunk(kind, data):
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
    size = struct.pack("!IIBBBBB", 200_000, 200_000, 8, 0, 0, 0, 0)
    picture = chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(32 << 20))) + chunk(b"IEND", b"")
    Image.MAX_IMAGE_PIXELS = None
    return Image.open(io.BytesIO(b"\\x89PNG\\r\\n\\x1a\\n" + picture)).load()
""",
        ("limits", "cgroup"),
        ("MemoryError",),
        ends=("refused", "lost"),
        seconds=_ON_A_BUSY_MACHINE,
        why_no_control=_HOSTS_MEMORY,
    ),
    Probe(
        "load a pickle that asks for more than there is",
        """
import pickle
class Bomb:
    def __reduce__(self):
        return bytes, (1 << 40,)
def attack():
    return len(pickle.loads(pickle.dumps(Bomb())))
""",
        ("limits", "cgroup"),
        ("MemoryError",),
        within_seconds=_QUICKLY,
        why_no_control=_HOSTS_MEMORY,
    ),
)
