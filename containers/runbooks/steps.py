"""The steps of a runbook: what to type, and what one then sees. `...` stands for anything in between.

A step is a heading `## `, a block `sh` below it and, where there is something to see, a block `text`.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_STEP = re.compile(r"^```sh\n(?P<command>.*?)^```\n(?:\s*^```text\n(?P<seen>.*?)^```$)?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Step:
    """`title` is its heading; one heading may have several steps."""

    title: str
    command: str
    seen: str

    def run(self, environment: Mapping[str, str], folder: Path) -> tuple[bool, str]:
        """Whether it went as the runbook says, and what was printed."""
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", self.command],
            cwd=folder,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode == 0 and self.matches(done.stdout), done.stdout

    def matches(self, output: str) -> bool:
        if not self.seen:
            return True
        parts = [re.escape(part.strip()) for part in self.seen.strip().split("...")]
        return re.fullmatch(r"\s*" + ".*?".join(parts).replace(r"\ ", " ") + r"\s*", output, re.DOTALL) is not None


def steps(runbook: Path) -> Iterator[Step]:
    for section in re.split(r"^## ", runbook.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0].strip()
        for found in _STEP.finditer(section):
            yield Step(title, found["command"], found["seen"] or "")
