"""`python -m tests.soak [--sessions 1000] [--seed 1]`: sessions with random kills; exit 1 if anything is left."""

import argparse
import asyncio
import sys

from tests.bench.progress import Progress
from tests.bench.report import table
from tests.soak.rows import rows
from tests.soak.run import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    progress = Progress()
    done = asyncio.run(soak(options.sessions, options.seed, progress))
    progress.clear()
    print(table(rows(done)))
    for name, counted in (("ends", done.fates), ("answers", done.answers), ("log", done.log)):
        print(f"{name}: {', '.join(f'{count} {what}' for what, count in counted.most_common())}")
    return 1 if any(done.left.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
