"""Fuzzes what a kernel can say to the gateway, guided by coverage.

python -m tests.fuzz --seconds 600            all targets, the time shared among them
python -m tests.fuzz --seconds 60 --keep      and keeps the inputs that reach something new
"""

import argparse
import sys

from tests.fuzz.campaign import fuzz, grow
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    targets = given.target or list(TARGETS)
    failed = []
    for target in targets:
        print(f"== {target}: {TARGETS[target].__doc__}", flush=True)
        campaign = grow if given.keep else fuzz
        ended = campaign(target, max(1, given.seconds // len(targets)))
        print(ended.summary(), flush=True)
        failed += [target] if ended.code else []
    print(f"failed: {', '.join(failed)}" if failed else "nothing found", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
