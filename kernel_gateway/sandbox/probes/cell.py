"""Makes the cell of a probe: what every attack uses, what the host laid out for it, and the attack itself. Pure."""

import json
import platform
import re
from collections.abc import Mapping
from typing import Any

# name: (x86_64, aarch64); None where the architecture has no such call
SYSTEM_CALLS: dict[str, tuple[int | None, int | None]] = {
    "add_key": (248, 217),
    "acct": (163, 89),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "capset": (126, 91),
    "chroot": (161, 51),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "getpid": (39, 172),
    "init_module": (175, 105),
    "inotify_add_watch": (254, 27),
    "inotify_init1": (294, 26),
    "io_uring_setup": (425, 425),
    "kcmp": (312, 272),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mlock": (149, 228),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "prctl": (157, 167),
    "process_vm_readv": (310, 270),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "rt_sigqueueinfo": (129, 138),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "set_mempolicy": (238, 237),
    "setns": (308, 268),
    "shmat": (30, 196),
    "shmget": (29, 194),
    "swapon": (167, 224),
    "sync": (162, 81),
    "sethostname": (170, 161),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vmsplice": (278, 75),
}
_MACHINES = ("x86_64", "aarch64")
_NAMED_CALL = re.compile(r'system_call\("(\w+)"')
_NAMED_BAIT = re.compile(r'HOST\["(\w+)"\]')

_EVERY_ATTACK = '''
import ctypes, errno, os, sys, tempfile
MINE, SCRATCH = os.environ["HOME"], tempfile.gettempdir()

def system_call(name, *arguments):
    """The result. Raises OSError; a call that is refused and one that is not there look the same to an attack."""
    arguments = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    number = CALLS[name] if isinstance(name, str) else name
    if (result := library.syscall(ctypes.c_long(number), *arguments)) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def reached(action):
    """Whether the kernel looked at what was asked at all, even if only to find it wrong."""
    try:
        action()
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTTY):
            raise
    return "the kernel answered"

def any_of(*actions):
    """What the first of several ways gives that is not refused. Raises the last refusal."""
    for action in actions:
        try:
            if (found := action()) not in (None, False):
                return found
        except OSError as error:
            last = error
    raise last

def attempt(attack):
    try:
        found = attack()
    except OSError as error:
        print(error)
        print("refused", errno.errorcode.get(error.errno, type(error).__name__))
    except Exception as error:
        print(str(error)[:200])
        print("refused", getattr(error, "code", None) or type(error).__name__)
    else:
        print("got through:", found) if found else print("refused nothing")
'''


def cell(body: str, host: Mapping[str, Any], machine: str = platform.machine()) -> str:
    """The whole cell. `host` is what the host laid out, by name; a cell is told only what it names.

    An architecture without a call that is named gets a number that no architecture has.
    """
    column = _MACHINES.index(machine)
    calls = {name: SYSTEM_CALLS[name][column] or 0xFFFF for name in sorted(set(_NAMED_CALL.findall(body)))}
    told = {name: host[name] for name in sorted(set(_NAMED_BAIT.findall(body)))}
    given = f"CALLS = {calls}\nHOST = {json.dumps(told)}\n"
    end = "\nattempt(attack)\n" if "def attack()" in body else ""
    return f"{_EVERY_ATTACK}{given}{body}{end}"
