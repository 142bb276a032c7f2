"""python -m tests.kernel_ext.checkpoint.kishu

Makes build/kishu, the environment with the peer of our checkpoints and the libraries of its published list of classes,
from requirements/kishu.txt; and fetches the list itself, which lies in its source distribution.
"""

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.conftest import ROOT

LOCK = ROOT / "requirements" / "kishu.txt"
ENVIRONMENT = ROOT / "build" / "kishu"
PYTHON = ENVIRONMENT / "bin" / "python"
_LIST = "coverage/coverage_test_cases.py"


def made() -> bool:
    """Whether the environment is there, and what the lock says."""
    stamp = ENVIRONMENT / "lock.txt"
    return stamp.exists() and stamp.read_bytes() == LOCK.read_bytes()


def make() -> None:
    """Asks the network, where the environment is missing or another."""
    if made():
        return
    print("installing the packages of kishu.txt into build/kishu (two minutes) ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
    _pip(PYTHON, "install", "-r", LOCK)
    (ENVIRONMENT / "lock.txt").write_bytes(LOCK.read_bytes())


def published_list() -> Path:
    """The file with the classes. The network is asked once for each pin."""
    pin = re.search(r"^kishu==(?:[^\n]*\\\n)*[^\n]*\n", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    assert pin is not None
    folder = ROOT / "build" / "kishu-sources"
    folder.mkdir(parents=True, exist_ok=True)
    found = folder / f"{hashlib.sha256(pin[0].encode()).hexdigest()[:16]}.py"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            with tempfile.TemporaryDirectory(dir=folder) as work:
                (Path(work) / "pin.txt").write_text(pin[0], encoding="utf-8")
                only_sources = ("--no-deps", "--no-binary", "kishu", "--no-build-isolation", "--dest", work)
                _pip(Path(sys.executable), "download", *only_sources, "-r", Path(work) / "pin.txt")
                with tarfile.open(next(Path(work).glob("*.tar.gz"))) as tar:
                    name = next(name for name in tar.getnames() if name.endswith(_LIST))
                    member = tar.extractfile(name)
                    assert member is not None
                    partial = Path(work) / "list.py"
                    partial.write_bytes(member.read())
                partial.rename(found)
    return found


def _pip(python: Path, verb: str, *arguments: str | Path) -> None:
    quietly = ("--quiet", "--quiet", "--disable-pip-version-check", "--require-hashes")
    subprocess.run([python, "-m", "pip", verb, *quietly, *arguments], check=True, env=dict(os.environ))


if __name__ == "__main__":
    make()
    published_list()
