"""Goes through release.md, item by item, and records who signed and on what evidence in sign-offs.toml.

`python -m containers.runbooks.sign_off --version 0.2.0 --by "Ada Lovelace"`: exit 1, and nothing recorded, where an
item does not hold. Commit what it wrote: the sign-off belongs to the release.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from containers.runbooks.steps import HERE, steps

RECORD = HERE / "sign-offs.toml"
ROOT = HERE.parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="sign_off", description="Go through the release check-list and record it.")
    parser.add_argument("--version", required=True, help="what is released")
    parser.add_argument("--by", required=True, help="who answers for it")
    parser.add_argument("--to", type=Path, default=RECORD, help="the record; default: sign-offs.toml beside this")
    given = parser.parse_args()
    items = []
    for step in steps(HERE / "release.md"):
        held, output = step.run(os.environ, ROOT)
        print(f"{'ok    ' if held else 'FAILED'} {step.title}", flush=True)
        if not held:
            print(output, file=sys.stderr)
            return 1
        evidence = output.strip().splitlines()[-1]
        items.append({"item": step.title, "evidence": evidence, "sha256": hashlib.sha256(output.encode()).hexdigest()})
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"],  # noqa: S607 - the caller's own git
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    signed = {"version": given.version, "commit": commit.stdout.strip(), "by": given.by, "at": at}
    with given.to.open("a", encoding="utf-8") as record:
        record.write("\n[[sign_off]]\n" + _toml(signed) + "".join(f"\n[[sign_off.items]]\n{_toml(i)}" for i in items))
    print(f"recorded in {given.to}; commit it with the release")
    return 0


def _toml(values: dict[str, str]) -> str:
    """A JSON string is a TOML string."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


if __name__ == "__main__":
    sys.exit(main())
