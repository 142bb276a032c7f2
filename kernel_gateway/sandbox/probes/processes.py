"""Attacks on processes: none can be started, seen, signalled, read or slowed, a sibling's as little as the host's."""

from kernel_gateway.sandbox.probes.probe import DENIED, HIDDEN, IS_SOCKET, Probe, of_family

_ELSEWHERE = (*DENIED, "ESRCH")  # refused, or there is no such process in this namespace

PROCESSES = of_family(
    "processes and signals",
    Probe(
        "start a process",
        """
def attack():
    child = os.fork()
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)
""",
        ("seccomp",),
        is_quick=True,
    ),
    Probe(
        "run a program",
        """
import subprocess
def attack():
    return subprocess.run([sys.executable, "-I", "-c", "print('ran')"], capture_output=True).stdout
""",
        ("landlock", "seccomp"),
        is_quick=True,
    ),
    Probe(
        "become another program",
        """
def attack():
    os.execv(sys.executable, [sys.executable, "-I", "-c", "pass"])
""",
        ("landlock", "seccomp"),
    ),
    Probe(
        "become the program in an open file",
        """
def attack():
    file = os.open(sys.executable, os.O_RDONLY)
    os.set_inheritable(file, True)
    os.execve(file, [sys.executable, "-I", "-c", "pass"], {})
""",
        ("landlock", "seccomp"),
    ),
    Probe(
        "spawn a program that shares its memory",
        """
def attack():
    child = os.posix_spawn(sys.executable, [sys.executable, "-I", "-c", "pass"], {})
    return os.waitpid(child, 0)
""",
        ("landlock", "seccomp"),
    ),
    Probe(
        "start a process by the newest call",
        """
def attack():
    wanted = (ctypes.c_uint64 * 11)()
    wanted[4] = 17
    child = system_call("clone3", wanted, ctypes.sizeof(wanted))
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)
""",
        ("seccomp",),
    ),
    Probe(
        "take hold of the process at the other end of a socket",
        """
import socket, struct
SO_PEERPIDFD = 77
def attack():
    def held(fd):
        mine = socket.socket(fileno=os.dup(fd))
        return struct.unpack("i", mine.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4))[0] > 0
    return any_of(*(lambda fd=fd: held(fd) for fd in range(3, 256) if _is_socket(fd)))
"""
        + IS_SOCKET,
        ("seccomp",),
        (*DENIED, "ENOPROTOOPT", "ENODATA"),
    ),
    Probe(
        "see another process",
        """
def attack():
    return [name for name in os.listdir("/proc") if name.isdigit()]
""",
        ("root", "landlock"),
        HIDDEN,
        is_quick=True,
    ),
    Probe(
        "find processes by asking about each number",
        """
def attack():
    own, found = os.getsid(0), []  # its own threads have numbers too
    for number in {*range(2, 40_000), HOST["victim"]}:
        try:
            if os.getsid(number) != own:
                found.append(number)
        except OSError:
            pass
    return found[:5]
""",
        ("namespaces", "seccomp"),
        HIDDEN,
    ),
    Probe(
        "kill a process of the host",
        """
import signal
def attack():
    return os.kill(HOST["victim"], signal.SIGKILL) is None
""",
        ("namespaces", "seccomp"),
        _ELSEWHERE,
        is_quick=True,
    ),
    Probe(
        "signal every process there is",
        """
def attack():
    return os.kill(-1, 0) is None
""",
        ("namespaces", "seccomp"),
        _ELSEWHERE,
    ),
    Probe(
        "signal the process that holds the sandbox",
        """
def attack():
    return os.kill(os.getppid(), 0) is None
""",
        ("landlock", "seccomp"),
    ),
    Probe(
        "signal a process of the host by the lesser known calls",
        """
def attack():
    victim, information = HOST["victim"], (ctypes.c_int * 32)(0, 0, -1)
    return any_of(
        lambda: system_call("tgkill", victim, victim, 0) == 0,
        lambda: system_call("tkill", victim, 0) == 0,
        lambda: system_call("rt_sigqueueinfo", victim, 0, information) == 0,
        lambda: system_call("pidfd_send_signal", system_call("pidfd_open", victim, 0), 0, 0, 0) == 0,
    )
""",
        ("namespaces", "seccomp"),
        _ELSEWHERE,
    ),
    Probe(
        "have the kernel signal a process of the host",
        """
import fcntl
def attack():
    reader, _ = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, HOST["victim"])
    return fcntl.fcntl(reader, fcntl.F_GETOWN)
""",
        ("namespaces", "seccomp"),
        (*_ELSEWHERE, "nothing"),
    ),
    Probe(
        "trace a process of the host",
        """
def attack():
    return system_call("ptrace", 0x4206, HOST["victim"], 0, 0) == 0
""",
        ("namespaces", "seccomp"),
        _ELSEWHERE,
    ),
    Probe(
        "read memory by process number",
        """
def attack():
    word, copy = ctypes.create_string_buffer(b"secret"), ctypes.create_string_buffer(6)
    pieces = [(ctypes.c_size_t * 2)(ctypes.addressof(each), 6) for each in (copy, word)]
    system_call("process_vm_readv", os.getpid(), pieces[0], 1, pieces[1], 1, 0)
    return copy.raw
""",
        ("seccomp",),
    ),
    Probe(
        "open the memory of a process of the host",
        """
def attack():
    return any_of(*(lambda name=name: os.open("/proc/%d/%s" % (HOST["victim"], name), os.O_RDONLY)
                    for name in ("mem", "environ", "maps", "root", "cwd", "fd")))
""",
        ("root", "landlock"),
        HIDDEN,
    ),
    Probe(
        "take a descriptor out of another process",
        """
def attack():
    return system_call("pidfd_getfd", system_call("pidfd_open", os.getpid(), 0), 0, 0)
""",
        ("seccomp",),
    ),
    Probe(
        "compare what two processes share",
        """
def attack():
    return system_call("kcmp", os.getpid(), os.getpid(), 1, 0, 0) == 0
""",
        ("seccomp",),
    ),
    Probe(
        "read the limits of a process of the host",
        """
import resource
def attack():
    return resource.prlimit(HOST["victim"], resource.RLIMIT_NOFILE)
""",
        ("namespaces", "seccomp"),
        _ELSEWHERE,
    ),
    Probe(
        "slow a process of the host",
        """
def attack():
    os.setpriority(os.PRIO_PROCESS, HOST["victim"], 9)
    return os.getpriority(os.PRIO_PROCESS, HOST["victim"])
""",
        ("namespaces", "seccomp"),
        _ELSEWHERE,
    ),
    Probe(
        "pin a process of the host to one processor",
        """
def attack():
    os.sched_setaffinity(HOST["victim"], {0})
    return os.sched_getaffinity(HOST["victim"])
""",
        ("namespaces", "seccomp"),
        _ELSEWHERE,
    ),
    Probe(
        "outlive the process that started it",
        """
def attack():
    return system_call("prctl", 1, 0, 0, 0, 0) == 0
""",
        ("seccomp",),
    ),
)
