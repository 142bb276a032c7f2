"""`python -m tests.bench [FIGURE ...]`: the figures of SPECIFICATION.md, into build/bench.json; exit 1 if a bar breaks.

`python -m tests.bench profile [CELLS]`: where the time of one cell over MCP goes.
"""

import argparse
import asyncio
import sys
from dataclasses import replace

from tests.bench import profiling
from tests.bench.environments import BUILD
from tests.bench.figures import FIGURES
from tests.bench.measurement import Row, UnmeasurableError
from tests.bench.progress import Progress
from tests.bench.report import machine, save, table
from tests.bench.rig import rig


async def measure(names: list[str], *, quick: bool) -> int:
    """Some figures alone, or quick ones, are printed and not saved: the file is always one whole run."""
    progress, rows, unmeasured = Progress(), list[Row](), list[str]()
    before = machine()
    async with rig(progress, quick=quick) as started:
        for name in names or FIGURES:
            try:
                rows += await FIGURES[name](started)
            except UnmeasurableError as error:
                unmeasured.append(f"{name}: {error}")
        progress.clear()
    if quick:
        rows = [replace(row, bar=None) for row in rows]
    print(table(rows))
    print(f"Python {before['python']}, {before['cores']} cores, load before the run {before['load_1_minute']:.2f}")
    if not names and not quick:
        save(rows, before, BUILD)
    broken = [row.figure for row in rows if not row.holds]
    if broken:
        print(f"over its bar: {'; '.join(broken)}", file=sys.stderr)
    if unmeasured:
        print(f"not measured: {'; '.join(unmeasured)}", file=sys.stderr)
    return 1 if broken or unmeasured else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", metavar="FIGURE", help=f"{', '.join(FIGURES)}; or `profile [CELLS]`")
    parser.add_argument("--quick", action="store_true", help="a few rounds of each, to see that everything runs")
    options = parser.parse_args()
    what: list[str] = options.what
    if what[:1] == ["profile"]:
        return asyncio.run(profiling.run(int(what[1]) if len(what) > 1 else profiling.CELLS))
    if unknown := sorted(set(what) - set(FIGURES)):
        parser.error(f"`{unknown[0]}` is not a figure; there is {', '.join(FIGURES)}")
    return asyncio.run(measure(what, quick=options.quick))


if __name__ == "__main__":
    sys.exit(main())
