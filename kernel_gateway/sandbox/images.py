"""The kernel image: a folder with what a cell can import, and a digest that names its exact content."""

import hashlib
import importlib.util
import json
import platform
from dataclasses import dataclass
from pathlib import Path

from kernel_gateway.errors import ConfigError

MANIFEST = "image.json"
PACKAGES = "site-packages"
_BESIDE = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class KernelImage:
    """`packages` holds the kernel's site-packages, `kernel_ext` among them."""

    packages: Path
    digest: str

    @classmethod
    def load(cls, folder: Path) -> "KernelImage":
        """Raises ConfigError where the image is missing, or was built for other sources or another Python.

        A relative `folder` is looked for beside the package, then in the working folder: a client may start the
        command in a project that brings a `build/kernel` of its own.
        """
        folder = _found(folder)
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"no kernel image in `{folder}`; run `make install`, or set sandbox.image") from error
        if manifest["python"] != platform.python_version():
            raise ConfigError(
                f"the kernel image in `{folder}` was built for Python {manifest['python']}, this is "
                f"{platform.python_version()}; run `make install`"
            )
        if manifest["sources"] != sources_digest():
            raise ConfigError(f"the kernel image in `{folder}` holds another version of kernel_ext; run `make install`")
        return cls((folder / PACKAGES).resolve(), manifest["digest"])


def present_digest(folder: Path) -> str:
    """Of the image that is in `folder` now; nothing while there is none, because it is being built."""
    try:
        return str(json.loads((_found(folder) / MANIFEST).read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _found(folder: Path) -> Path:
    """An absolute folder stays as it is."""
    return _BESIDE / folder if (_BESIDE / folder / MANIFEST).exists() else folder


def sources_folder() -> Path:
    """Where kernel_ext lies. It is found, never imported: it belongs to the sandbox."""
    found = importlib.util.find_spec("kernel_ext")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def sources_digest() -> str:
    """SHA-256 over the names and bytes of kernel_ext's sources."""
    folder = sources_folder()
    digest = hashlib.sha256()
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.c")]):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def image_digest(lock: bytes) -> str:
    """What names an image: the lock file, the Python, and the sources of kernel_ext."""
    parts = [lock, platform.python_version().encode(), sources_digest().encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
