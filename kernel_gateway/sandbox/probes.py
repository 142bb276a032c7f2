"""Named attacks, as data. Each is a cell that tries one thing; what it prints last must be `refused`."""

from dataclasses import dataclass

REFUSED = "refused"

_ATTEMPT = """
def attempt(action):
    try:
        found = action()
    except Exception as error:
        print(type(error).__name__, error)
        print("refused")
    else:
        print("got through:", found)
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """`name` says what must not happen. `code` is the whole cell."""

    name: str
    code: str


def _probe(name: str, body: str) -> Probe:
    return Probe(name, _ATTEMPT + body)


PROBES: tuple[Probe, ...] = (
    _probe(
        "reach the internet",
        """
import socket
attempt(lambda: socket.create_connection(("1.1.1.1", 53), timeout=2))
""",
    ),
    _probe(
        "reach the cloud's metadata address",
        """
import socket
attempt(lambda: socket.create_connection(("169.254.169.254", 80), timeout=2))
""",
    ),
    _probe(
        "resolve a name",
        """
import socket
attempt(lambda: socket.getaddrinfo("example.com", 443))
""",
    ),
    _probe(
        "see the host's network interfaces",
        """
import socket
def others():
    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    assert names, "only the loopback"
    return names
attempt(others)
""",
    ),
    _probe(
        "read a home folder",
        """
import os
attempt(lambda: os.listdir("/root") or os.listdir("/home/" + os.environ.get("USER", "user")))
""",
    ),
    _probe(
        "read the host's password file",
        """
def users():
    lines = [line for line in open("/etc/passwd") if not line.startswith("kernel:")]
    assert lines, "only the kernel's own line"
    return lines
attempt(users)
""",
    ),
    _probe(
        "see another process",
        """
import os
attempt(lambda: [name for name in os.listdir("/proc") if name.isdigit()])
""",
    ),
    _probe(
        "run a program",
        """
import subprocess
attempt(lambda: subprocess.run(["/bin/sh", "-c", "id"], capture_output=True, check=True).stdout)
""",
    ),
    _probe(
        "find a secret in the environment",
        """
import os
def secrets():
    known = {"HOME", "LANG", "PATH", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "MPLBACKEND", "OPENBLAS_NUM_THREADS",
             "OMP_NUM_THREADS", "LD_LIBRARY_PATH", "PWD", "TERM", "CLICOLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "PAGER",
             "GIT_PAGER", "LC_CTYPE", "PYDEVD_USE_FRAME_EVAL"}
    others = sorted(set(os.environ) - known)
    assert others, "nothing but our own"
    return others
attempt(secrets)
""",
    ),
    _probe(
        "write outside its own folders",
        """
import os
attempt(lambda: [open(folder + "/probe", "w") for folder in ("/opt/kernel", "/usr/lib", "/etc")])
""",
    ),
    _probe(
        "become root",
        """
import os
attempt(lambda: os.setuid(0))
""",
    ),
    _probe(
        "mount a file system",
        """
import ctypes
def mount():
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(b"proc", b"/tmp", b"proc", 0, None) == 0, "errno %d" % ctypes.get_errno()
    return "mounted /proc"
attempt(mount)
""",
    ),
    _probe(
        "fill its home beyond the cap",
        """
def fill():
    try:
        with open("/home/kernel/filler", "wb") as file:
            for _ in range(64):
                file.write(bytes(16 << 20))
        return "wrote 1 GiB"
    finally:
        import os
        os.unlink("/home/kernel/filler")
attempt(fill)
""",
    ),
    _probe(
        "make namespaces of its own",
        """
import ctypes, os
def namespaces():
    # In a child: the kernel has threads, and a process with threads may not enter a user namespace anyway.
    child = os.fork()
    if child == 0:
        os._exit(1 if ctypes.CDLL(None).unshare(0x10000000) else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "unshare failed"
    return "a user namespace"
attempt(namespaces)
""",
    ),
    _probe(
        "fill the host's memory through /dev",
        """
def fill():
    written = 0
    for path in ("/dev/filler", "/dev/shm/filler"):
        try:
            with open(path, "wb") as file:
                for _ in range(64):
                    written += file.write(bytes(1 << 20))
        except OSError as error:
            last = error
    if written < 17 << 20:
        raise last
    return written
attempt(fill)
""",
    ),
    _probe(
        "start a process",
        """
import os
def start():
    child = os.fork()
    if child == 0:
        os._exit(0)
    return child
attempt(start)
""",
    ),
    _probe(
        "attach to the process that holds the sandbox",
        """
import ctypes
def attach():
    assert ctypes.CDLL(None, use_errno=True).ptrace(16, 1, 0, 0) == 0, "errno %d" % ctypes.get_errno()
    return "pid 1"
attempt(attach)
""",
    ),
    _probe(
        "open a socket of any family",
        """
import socket
def sockets():
    opened = []
    for family in range(1, 46):
        try:
            opened.append(socket.socket(family, socket.SOCK_DGRAM).family)
        except OSError:
            pass
    assert opened, "none of 45 families"
    return opened
attempt(sockets)
""",
    ),
    _probe(
        "hold memory that no folder counts",
        """
import os
attempt(lambda: os.memfd_create("hidden"))
""",
    ),
    _probe(
        "raise its own limits",
        """
import resource
def more():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1000, hard + 1000))
    return hard + 1000
attempt(more)
""",
    ),
)
