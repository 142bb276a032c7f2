"""The environments of the peers, under build/bench: each from its own hash-pinned lock, made when it is missing."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench.progress import Progress

BENCH = Path(__file__).parent
BUILD = BENCH.parents[1] / "build"


def python_of(name: str, progress: Progress) -> Path:
    """The interpreter of the environment with the packages of `name`.txt, and with this process's Python."""
    folder, lock = BUILD / "bench" / name, BENCH / f"{name}.txt"
    python, stamp = folder / "bin" / "python", folder / "installed"
    wanted = f"{platform.python_version()}\n{lock.read_text(encoding='utf-8')}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    progress.say(f"installing the packages of {lock.name} ...")
    shutil.rmtree(folder, ignore_errors=True)
    _quietly(sys.executable, "-m", "venv", str(folder))
    _quietly(str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock))
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _quietly(*command: str) -> None:
    """What the command says is worth reading only where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command[1:4])}` failed:\n{done.stdout}")
