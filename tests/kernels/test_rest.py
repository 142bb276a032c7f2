"""A kernel that nobody sends a cell to gives back memory; whoever comes back finds everything."""

import asyncio
from pathlib import Path

from tests.conftest import until

LIBRARIES = "import numpy, pandas\ntable = pandas.DataFrame({'a': [1, 2]}); int(table.a.sum())"


def own_kib(kernel):
    lines = Path(f"/proc/{kernel._process.pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


async def run(kernel, code):
    outcome = await kernel.run(code, 30, asyncio.get_running_loop().create_future())
    assert outcome.status == "ok", outcome
    return outcome.outputs.stdout


async def test_a_kernel_at_rest_keeps_less_and_knows_all_it_knew(claim_kernel):
    kernel = await claim_kernel()
    await run(kernel, LIBRARIES)
    worked = own_kib(kernel)
    await until(lambda: own_kib(kernel) < worked - 1000)
    assert await run(kernel, "print(table.a.tolist())") == "[1, 2]\n"


async def test_again_and_again(claim_kernel):
    kernel = await claim_kernel()
    await run(kernel, LIBRARIES + "\nseen = []")
    for number in range(3):
        await run(kernel, f"import gc; gc.unfreeze(); gc.collect(); gc.freeze(); seen.append({number})")
        worked = own_kib(kernel)
        await until(lambda worked=worked: own_kib(kernel) < worked - 1000)
    assert await run(kernel, "print(seen, table.a.sum())") == "[0, 1, 2] 3\n"


async def test_a_kernel_with_a_thread_of_a_cells_own_is_left_alone_until_that_ends(claim_kernel):
    kernel = await claim_kernel()
    await run(
        kernel, LIBRARIES + "\nimport threading; end = threading.Event(); threading.Thread(target=end.wait).start()"
    )
    await run(kernel, "import gc; gc.unfreeze(); gc.collect(); gc.freeze()")
    worked = own_kib(kernel)
    code = "import asyncio; await asyncio.sleep(2.5)"  # longer than a kernel waits before it rests
    await run(kernel, code)
    assert own_kib(kernel) > worked - 1000
    await run(kernel, "end.set()")
    await until(lambda: own_kib(kernel) < worked - 1000)
