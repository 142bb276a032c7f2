"""Other people's tests, as their authors publish them: fetched into build/jupyter once for each pin."""

import fcntl
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PINS, BACKEND_PINS = ROOT / "requirements" / "jupyter.txt", ROOT / "requirements" / "jupyter-build.txt"
CACHE = ROOT / "build" / "jupyter"


def sources() -> Path:
    """The folder that holds the unpacked source distributions of `PINS`. The network is asked where it is absent."""
    folder = CACHE / hashlib.sha256(PINS.read_bytes()).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                _fetch(Path(work), unpacked := Path(work) / "unpacked")
                unpacked.rename(folder)
    return folder


# Python 3.11 has it since 3.11.4; what is unpacked here is pinned by its hash.
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def _fetch(work: Path, unpacked: Path) -> None:
    """pip wants to know a source distribution's name from its build backend, even where nothing is built."""
    backend, archives = work / "backend", work / "archives"
    _pip("install", "--target", backend, "--requirement", BACKEND_PINS)
    only_sources = ("--no-binary", "ipykernel,jupyter-kernel-test", "--no-build-isolation")
    _pip("download", *only_sources, "--dest", archives, "--requirement", PINS, PYTHONPATH=str(backend))
    unpacked.mkdir()
    for archive in archives.iterdir():
        with tarfile.open(archive) as tar:
            tar.extractall(unpacked, **SAFELY)


def _pip(verb: str, *arguments: str | Path, **environment: str) -> None:
    command = [sys.executable, "-m", "pip", verb, "--quiet", "--no-deps", "--require-hashes", *arguments]
    subprocess.run(command, check=True, env={**os.environ, **environment})
