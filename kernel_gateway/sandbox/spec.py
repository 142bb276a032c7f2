"""What a kernel may touch, as pure data. A launcher turns it into namespaces and mounts; nothing here does I/O.

A kernel sees: the interpreter and its standard library, the system's shared libraries, the kernel image, all read-only;
a private home, /tmp and /dev/shm of limited size; the harmless devices. No /proc, and nothing else of the host.
"""

import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kernel_gateway.sandbox.images import KernelImage
from kernel_gateway.sandbox.seccomp import compile_filter
from kernel_gateway.sandbox.settings import SandboxSettings

HOME = PurePosixPath("/home/kernel")
IMAGE = PurePosixPath("/opt/kernel")
RELOCATED_PYTHON = PurePosixPath("/opt/python")
UID = 1000

FILES: Mapping[str, str] = {
    "/etc/passwd": f"kernel:x:{UID}:{UID}::{HOME}:/usr/sbin/nologin\n",
    "/etc/group": f"kernel:x:{UID}:\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}

ENVIRONMENT: Mapping[str, str] = {
    "HOME": str(HOME),
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin",
    "TMPDIR": "/tmp",  # noqa: S108 -- the sandbox's own
    "IPYTHONDIR": f"{HOME}/.ipython",
    "MPLCONFIGDIR": f"{HOME}/.config/matplotlib",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "LD_LIBRARY_PATH": str(RELOCATED_PYTHON / "lib"),
}


@dataclass(frozen=True, slots=True)
class Mount:
    """`source` on the host, read-only at `target` in the sandbox."""

    source: Path
    target: PurePosixPath


@dataclass(frozen=True, slots=True)
class Scratch:
    """A private, empty, writable memory file system of at most `size_bytes` at `target`."""

    target: PurePosixPath
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """Everything a launcher needs. `hidden` are folders inside the mounts that are covered by an empty one."""

    python: PurePosixPath
    mounts: tuple[Mount, ...]
    hidden: tuple[PurePosixPath, ...]
    links: tuple[tuple[str, PurePosixPath], ...]
    scratch: tuple[Scratch, ...]
    files: Mapping[str, str]
    environment: Mapping[str, str]
    limits: Mapping[str, int]
    system_call_filter: bytes
    image_digest: str
    template_filter: bytes = b""

    def plan(self, kind: str) -> dict[str, object]:
        return {
            "limits": dict(self.limits),
            "filter": self.system_call_filter.hex(),
            "scratch": [{"target": str(s.target), "size_bytes": s.size_bytes, "inodes": 4096} for s in self.scratch],
            "home": str(HOME),
        }


def compose(image: KernelImage, settings: SandboxSettings, interpreter: "Interpreter") -> SandboxSpec:
    return SandboxSpec(
        python=interpreter.path,
        mounts=(*interpreter.mounts, Mount(image.packages, IMAGE)),
        hidden=interpreter.hidden,
        links=interpreter.links,
        scratch=(
            Scratch(HOME, settings.home_bytes),
            Scratch(PurePosixPath("/tmp"), settings.temporary_bytes),  # noqa: S108 -- the sandbox's own
            Scratch(PurePosixPath("/dev/shm"), settings.shared_memory_bytes),  # noqa: S108 -- the sandbox's own
        ),
        files=FILES,
        environment=ENVIRONMENT,
        limits={
            "address_space_bytes": settings.address_space_bytes,
            "file_bytes": settings.file_bytes,
            "open_files": settings.open_files,
            "processes": settings.processes,
            "core_bytes": 0,
            "locked_bytes": 0,
            "queue_bytes": 0,
        },
        system_call_filter=compile_filter(),
        image_digest=image.digest,
    )


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The interpreter as the sandbox sees it."""

    path: PurePosixPath
    mounts: tuple[Mount, ...]
    hidden: tuple[PurePosixPath, ...]
    links: tuple[tuple[str, PurePosixPath], ...]


def this_interpreter() -> Interpreter:
    """The running Python: in place where it is the system's, else moved to /opt/python so that no host path shows."""
    prefix, library = Path(sys.base_prefix).resolve(), Path(sysconfig.get_path("stdlib")).resolve()
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    target = PurePosixPath("/usr") if prefix == Path("/usr") else RELOCATED_PYTHON
    mounts = [
        Mount(prefix / "bin" / name, target / "bin" / name),
        Mount(library, target / "lib" / library.name),
        *(Mount(folder, PurePosixPath(folder)) for folder in _shared_libraries()),
    ]
    shared = prefix / "lib" / str(sysconfig.get_config_var("INSTSONAME"))
    if target == RELOCATED_PYTHON and shared.is_file():
        mounts.append(Mount(shared, target / "lib" / shared.name))
    packages = ("site-packages", "dist-packages")
    hidden = [target / "lib" / library.name / each for each in packages if (library / each).is_dir()]
    return Interpreter(target / "bin" / name, tuple(mounts), tuple(hidden), _links())


def _shared_libraries() -> list[Path]:
    """The system's library folders: the multiarch one (Debian) and the loader's."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    candidates = [Path("/usr/lib") / multiarch] if multiarch else [Path("/usr/lib")]
    return [folder for folder in [*candidates, Path("/usr/lib64")] if folder.is_dir()]


def _links() -> tuple[tuple[str, PurePosixPath], ...]:
    """A merged-/usr layout, whatever the host's."""
    return (("usr/lib", PurePosixPath("/lib")), ("usr/lib64", PurePosixPath("/lib64")))
