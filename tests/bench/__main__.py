"""`python -m tests.bench [FIGURE ...]`: the figures of SPECIFICATION.md, into build/bench.json; exit 1 if a bar breaks.

`python -m tests.bench profile [CELLS]`: where the time of one cell over MCP goes.
"""

import argparse
import asyncio
import sys

from tests.bench import profiling
from tests.bench.environments import BUILD
from tests.bench.figures import FIGURES
from tests.bench.measurement import Row
from tests.bench.progress import Progress
from tests.bench.report import machine, save, table
from tests.bench.rig import rig


async def measure(names: list[str]) -> int:
    """Some figures alone are printed and not saved: the file is always one whole run."""
    progress, rows = Progress(), list[Row]()
    before = machine()
    async with rig(progress) as started:
        for name in names or FIGURES:
            rows += await FIGURES[name](started)
        progress.clear()
    print(table(rows))
    print(f"Python {before['python']}, {before['cores']} cores, load before the run {before['load_1_minute']:.2f}")
    if not names:
        save(rows, before, BUILD)
    broken = [row.figure for row in rows if not row.holds]
    if broken:
        print(f"over its bar: {'; '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", metavar="FIGURE", help=f"{', '.join(FIGURES)}; or `profile [CELLS]`")
    what: list[str] = parser.parse_args().what
    if what[:1] == ["profile"]:
        return asyncio.run(profiling.run(int(what[1]) if len(what) > 1 else profiling.CELLS))
    if unknown := sorted(set(what) - set(FIGURES)):
        parser.error(f"`{unknown[0]}` is not a figure; there is {', '.join(FIGURES)}")
    return asyncio.run(measure(what))


if __name__ == "__main__":
    sys.exit(main())
