"""What a live kernel keeps in memory, when fifty of them have worked with the libraries."""

import asyncio

from tests.bench.figures.cells import PLAIN
from tests.bench.measurement import Bar, Row, UnmeasurableError
from tests.bench.processes import below, pss_mib
from tests.bench.rig import Rig

KERNELS = 50
_AT_REST_SECONDS = 3.0  # a kernel gives back what it does not need once nobody has sent it a cell for a second
CELLS = (
    "import numpy\nnumbers = numpy.linspace(0.0, 1.0, 10_000)\nfloat(numpy.sqrt(numbers).mean())",
    """\
import pandas
table = pandas.DataFrame({"group": ["a", "b"] * 50, "price": numbers[:100]})
table.groupby("group").price.mean().round(3).to_dict()""",
    """\
import io
from PIL import Image
image, kept = Image.new("RGB", (320, 240), "navy").resize((160, 120)).rotate(90), io.BytesIO()
image.save(kept, "PNG")
len(kept.getvalue())""",
)


async def memory(rig: Rig) -> list[Row]:
    """Everything below the gateway's process counts: kernels, spare ones, template, sandboxes. The gateway does not."""
    kernels, opened = 4 if rig.quick else KERNELS, list[str]()
    for done in range(kernels):
        rig.progress.count("memory", done, kernels)
        opened.append((await rig.agent.cell(CELLS[0]))["session_id"])
        for code in CELLS[1:]:
            await rig.agent.cell(code, opened[-1])
    await asyncio.sleep(_AT_REST_SECONDS)
    processes = below(rig.service.pid)
    if len(processes) < kernels:
        raise RuntimeError(f"{kernels} sessions, and only {len(processes)} processes below their gateway")
    try:
        ours = sum(pss_mib(process.pid) for process in processes if not process.is_zombie) / kernels
    except PermissionError:
        raise UnmeasurableError("the kernel's memory is hidden from all but root; run this figure as root") from None
    for each in opened:
        await rig.agent.close(each)
    theirs = tuple([await rig.plain.ask("memory", cells=CELLS) for _ in range(rig.rounds(3))])
    note = (
        f"all {len(processes)} processes below the gateway, without itself, divided by {kernels}; theirs one at a time"
    )
    return [Row("PSS per live kernel at 50", "MiB", (ours,), PLAIN, theirs, Bar(0.15, "ratio"), note)]
