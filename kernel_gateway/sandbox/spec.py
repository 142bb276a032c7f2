"""What a kernel may touch, as pure data. A launcher turns it into namespaces and mounts; nothing here does I/O.

A kernel sees: the interpreter and its standard library, the system's shared libraries, the kernel image, all read-only;
a private home, /tmp and /dev/shm of limited size; the harmless devices. No /proc, and nothing else of the host.
"""

import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from kernel_gateway.sandbox.images import KernelImage
from kernel_gateway.sandbox.profiles import FILTERED, KERNEL, TEMPLATE
from kernel_gateway.sandbox.seccomp import compile_filter
from kernel_gateway.sandbox.settings import SandboxSettings

HOME = PurePosixPath("/home/kernel")
IMAGE = PurePosixPath("/opt/kernel")
RELOCATED_PYTHON = PurePosixPath("/opt/python")
UID = 1000

LAYERS = frozenset({"namespaces", "capabilities", "limits", "landlock", "seccomp"})
"""What holds a kernel, each on its own."""

_ITSELF: Mapping[str, frozenset[str]] = {
    "forkserver": LAYERS,
    "bwrap": LAYERS - {"namespaces"},
    "oci": LAYERS - {"namespaces"},
    "filtered": LAYERS - {"namespaces"},
    "none": frozenset(),
}
"""Which of them a kernel process takes on itself, by launcher; the launcher sees to the others."""

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
    """A private, empty, writable memory file system of at most `size_bytes` and `inodes` at `target`."""

    target: PurePosixPath
    size_bytes: int
    inodes: int


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
    image_digest: str
    layers: frozenset[str] = LAYERS

    def without(self, *layers: str) -> "SandboxSpec":
        """The same with holes in it: what shows that a layer is what stops an attack."""
        return replace(self, layers=self.layers - set(layers))

    def plan(self, launcher: str) -> dict[str, Any]:
        """What a kernel process must do to confine itself, as JSON for `kernel_ext.confine`. Holds no secret.

        `filtered` has the host's own paths, and may write nowhere until its launcher adds a folder.
        """
        inside = launcher != "filtered"
        return {
            "layers": sorted(self.layers & _ITSELF[launcher]),
            # Without a user namespace the host counts all processes of our user, the gateway's too.
            "limits": {name: value for name, value in self.limits.items() if inside or name != "processes"},
            "needs": [] if inside else ["landlock"],
            "scratch": [
                {"target": str(each.target), "size_bytes": each.size_bytes, "inodes": each.inodes}
                for each in self.scratch
            ],
            "read": list(_INSIDE) if inside else [str(mount.source) for mount in self.mounts],
            "write": [str(each.target) for each in self.scratch] if inside else [],
            "filter": compile_filter(FILTERED if launcher == "filtered" else KERNEL).hex(),
            "home": str(HOME),
            "uid": UID,
        }

    def template_filter(self, launcher: str) -> bytes:
        """What the process that kernels are forked from may do; empty where that layer is left out."""
        wanted = "seccomp" in self.layers and launcher != "none"
        return compile_filter(TEMPLATE) if wanted else b""

    def on_host(self, path: PurePosixPath) -> str:
        """Where what a sandbox has at `path` is on the host, for a process that is in none."""
        return next(str(mount.source) for mount in self.mounts if mount.target == path)

    def environment_in(self, home: Path) -> dict[str, str]:
        """The sandbox's, for a process on the host whose own folder is `home`."""
        values = {
            name: value.replace(f"{HOME}", f"{home}", 1)
            for name, value in self.environment.items()
            if name != "LD_LIBRARY_PATH"
        }
        return {**values, "TMPDIR": f"{home / 'tmp'}"}


_INSIDE = ("/usr", "/opt", "/etc")  # there is nothing in a sandbox but what this spec puts there


def compose(image: KernelImage, settings: SandboxSettings, interpreter: "Interpreter") -> SandboxSpec:
    return SandboxSpec(
        python=interpreter.path,
        mounts=(*interpreter.mounts, Mount(image.packages, IMAGE)),
        hidden=interpreter.hidden,
        links=interpreter.links,
        scratch=(
            Scratch(HOME, settings.home_bytes, settings.max_inodes),
            Scratch(PurePosixPath("/tmp"), settings.temporary_bytes, settings.max_inodes),  # noqa: S108 -- the sandbox's own
            Scratch(PurePosixPath("/dev/shm"), settings.shared_memory_bytes, settings.max_inodes),  # noqa: S108 -- the sandbox's own
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
