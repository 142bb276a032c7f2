"""Attacks on secrets: what the host, the gateway and other sessions know is nowhere in a kernel."""

from kernel_gateway.sandbox.probes.probe import DENIED, HIDDEN, Probe, of_family

_SCAN = '''
import re
def memory_around(*addresses):
    """Every readable page near these addresses. The kernel says which are: write() fails cleanly on the others."""
    (reader, writer), write, seen = os.pipe(), ctypes.CDLL(None).write, set()
    for address in addresses:
        for page in range((address >> 12) - (8 << 20 >> 12), (address >> 12) + (48 << 20 >> 12)):
            if page in seen:
                continue
            seen.add(page)
            if write(writer, ctypes.c_void_p(page << 12), 4096) == 4096:
                yield os.read(reader, 4096)
PATTERN = re.compile(rb"kg[bs]-[0-9a-f]{32}")
def found_near(*addresses):
    found = set()
    for page in memory_around(*addresses):
        found.update(PATTERN.findall(page))
    return sorted(found)
'''

_FOREIGN_BLOB = """
from kernel_ext import Blob
def attack():
    return Blob(HOST["{handle}"], "read").read()
"""

SECRETS = of_family(
    "secrets",
    Probe(
        "find a secret in the environment",
        """
def attack():
    known = {"HOME", "LANG", "PATH", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "MPLBACKEND", "OPENBLAS_NUM_THREADS",
             "OMP_NUM_THREADS", "LD_LIBRARY_PATH", "PWD", "TERM", "CLICOLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "PAGER",
             "GIT_PAGER", "LC_CTYPE", "PYDEVD_USE_FRAME_EVAL"}
    return sorted(set(os.environ) - known)
""",
        ("gateway",),
        HIDDEN,
        is_quick=True,
    ),
    Probe(
        "read its own memory map",
        """
def attack():
    return [line for line in open("/proc/self/maps")][:3]
""",
        ("root", "landlock"),
        HIDDEN,
    ),
    Probe(
        "read the environment of every process",
        """
def attack():
    def bait_in(number):
        return b"kgb-" in open("/proc/%s/environ" % number, "rb").read() and number
    return any_of(*(lambda number=number: bait_in(number) for number in os.listdir("/proc") if number.isdigit()))
""",
        ("root", "landlock"),
        HIDDEN,
    ),
    Probe(
        "find another session's secret in its own memory",
        _SCAN
        + """
def attack():
    return found_near(id(object()), id(_SCANNED), id(sys), ctypes.addressof(ctypes.create_string_buffer(1 << 20)))
_SCANNED = ["here"]
""",
        ("gateway",),
        HIDDEN,
        control=_SCAN
        + """
def attack():
    return found_near(id(_PLANTED), id(object()), id(sys), id(_PLANTED[0]))
_PLANTED = [b"kgs" + b"-" + b"5" * 32]
""",
    ),
    Probe(
        "find a secret among the objects of its interpreter",
        """
import gc, re
def attack():
    pattern, found = re.compile(r"kg[bs]-[0-9a-f]{32}|eyJ[\\w-]{20,}\\.[\\w-]+\\."), set()
    for thing in gc.get_objects():
        values = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, (list, tuple, set)) else ()
        try:
            found.update(match for value in list(values) if isinstance(value, str) for match in pattern.findall(value))
        except RuntimeError:
            continue
    return sorted(found)
""",
        ("gateway",),
        HIDDEN,
        control="""
import gc
def attack():
    planted = ["kgb" + "-" + "5" * 32]
    return [thing for thing in gc.get_objects() if isinstance(thing, list) and thing is planted]
""",
    ),
    Probe(
        "find the files of another session",
        """
def attack():
    found = []
    for top in ("/home", "/tmp", "/dev/shm", "/var/tmp"):
        for folder, _, names in os.walk(top):
            found += [os.path.join(folder, name) for name in names if name == HOST["sibling_file"]]
    return found
""",
        ("root", "namespaces", "landlock"),
        HIDDEN,
    ),
    Probe(
        "read a blob of another session",
        _FOREIGN_BLOB.format(handle="foreign_blob"),
        ("gateway",),
        ("not_found",),
        control=_FOREIGN_BLOB.format(handle="own_blob"),
    ),
    Probe(
        "read the memory of the gateway",
        """
def attack():
    word = ctypes.create_string_buffer(16)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(word), 16)
    remote = (ctypes.c_size_t * 2)(HOST["address"], 16)
    system_call("process_vm_readv", HOST["victim"], local, 1, remote, 1, 0)
    return word.raw
""",
        ("namespaces", "seccomp"),
        (*DENIED, "ESRCH"),
    ),
    Probe(
        "read memory that the host shares",
        """
def attack():
    segment = system_call("shmget", HOST["segment"], 36, 0)
    return ctypes.string_at(system_call("shmat", segment, 0, 0o10000), 36)
""",
        ("namespaces", "seccomp"),
        (*DENIED, "ENOENT"),
    ),
    Probe(
        "find a credential in a well-known place",
        """
import glob
def attack():
    homes = [HOST["folder"], MINE, os.path.join("/", "root"), *glob.glob(os.path.join("/", "home", "*"))]
    names = (".aws/credentials", ".ssh/id_ed25519", ".netrc", ".config/gcloud/credentials.db", ".docker/config.json",
             ".kube/config", ".git-credentials", ".pypirc", ".env")
    return [path for home in homes for name in names if os.path.exists(path := os.path.join(home, name))]
""",
        ("root", "landlock"),
        HIDDEN,
        not_on={"filtered": "Landlock does not cover stat: a file's content stays closed, its existence shows"},
    ),
    Probe(
        "learn on which machine it runs",
        """
def attack():
    files = ("/etc/machine-id", "/etc/hostname", "/proc/sys/kernel/random/boot_id", "/sys/class/dmi/id/product_uuid")
    if os.uname().nodename != "kernel":
        return os.uname().nodename
    return any_of(*(lambda file=file: open(file).read() for file in files))
""",
        ("root", "namespaces", "landlock"),
        HIDDEN,
        not_on={"filtered": "without a namespace of its own the machine's name shows"},
    ),
    Probe(
        "read the host's key rings",
        """
def attack():
    room = ctypes.create_string_buffer(256)
    return any_of(*(lambda ring=ring: system_call("keyctl", 6, ring, room, 256) for ring in (-3, -4, -5)))
""",
        ("seccomp",),
    ),
    Probe(
        "learn from a failure inside the gateway",
        """
def attack():
    try:
        call_tool("lab:crash")
    except ToolError as error:
        assert "kgb-" not in repr(vars(error)) + str(error), str(error)
        raise
""",
        ("gateway",),
        ("internal",),
        control="""
def attack():
    return call_tool("lab:ping")
""",
    ),
    Probe(
        "use what its caller may not use",
        """
def attack():
    return any_of(lambda: call_tool("lab:vault"), lambda: lab.vault())
""",
        ("gateway",),
        ("denied",),
        control="""
def attack():
    return call_tool("lab:ping")
""",
    ),
)
