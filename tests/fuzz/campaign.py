"""Runs libFuzzer on one target for a while, from its corpus, under a ceiling of memory and of time for each input."""

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import corpus

HANG_SECONDS = 5
MEMORY_MB = 200
"""Resident. The interpreter with its modules takes 60, and an input of 4 KiB a few at most."""
LONGEST_BYTES = 4096
KEPT = 120  # inputs of a target


@dataclass(frozen=True, slots=True)
class Ended:
    """`code` is 0 where nothing was found; else `said` names it and holds the input."""

    code: int
    said: str

    def summary(self) -> str:
        figures = re.findall(r"stat::(\w+):\s+(\d+)", self.said)
        return self.said if self.code else ", ".join(f"{name} {number}" for name, number in figures)


def fuzz(target: str, seconds: int, *, module: str = "tests.fuzz.targets") -> Ended:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        return _fuzz(Path(scratch), target, seconds, module)


def grow(target: str, seconds: int) -> Ended:
    """The same, and the corpus becomes the fewest inputs that reach as much as all that were found."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        scratch = Path(folder)
        ended = _fuzz(scratch, target, seconds, "tests.fuzz.targets")
        if ended.code == 0:
            least = scratch / "least"
            least.mkdir()
            _run(f"tests.fuzz.targets:{target}", scratch, "-merge=1", str(least), str(scratch / "found"))
            corpus.save(target, sorted(corpus.pack(least), key=len)[:KEPT])
    return ended


def _fuzz(scratch: Path, target: str, seconds: int, module: str) -> Ended:
    found = scratch / "found"
    corpus.unpack(corpus.load(target), found)
    return _run(f"{module}:{target}", scratch, f"-max_total_time={seconds}", str(found))


def _run(target: str, scratch: Path, *arguments: str) -> Ended:
    command = [sys.executable, "-m", "tests.fuzz.instrumented", target, *arguments, f"-artifact_prefix={scratch}/"]
    limits = [f"-timeout={HANG_SECONDS}", f"-rss_limit_mb={MEMORY_MB}", f"-max_len={LONGEST_BYTES}"]
    report = ["-verbosity=0", "-print_final_stats=1"]
    # The shell forks once more: Linux counts the peak of the process that a program was started from as its own.
    apart = ["/bin/sh", "-c", '"$@"; exit $?', "sh"]
    done = subprocess.run(
        [*apart, *command, *limits, *report], check=False, capture_output=True, text=True, errors="replace"
    )
    guilty = [f"{path.name} {path.read_bytes().hex()}" for path in scratch.iterdir() if path.is_file()]
    return Ended(done.returncode, "\n".join([done.stdout, done.stderr, *guilty]))
