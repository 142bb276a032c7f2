"""What is written after each cell and how long that takes, beside the peers that save the same cells."""

import asyncio
import json
import os
import tempfile
from asyncio.subprocess import PIPE

from tests.bench.child import ROOT
from tests.bench.measurement import Bar, Row, UnmeasurableError
from tests.bench.rig import Rig
from tests.kernel_ext.checkpoint import kishu

WAYS = {"ours": "", "cloudpickle": "one full cloudpickle after each cell", "kishu": "kishu 0.3.4"}


async def checkpoint(rig: Rig) -> list[Row]:
    """Each way in a process of its own, one after the other, once: kishu takes 15 s."""
    if not kishu.made():
        raise UnmeasurableError("the peer's environment is missing; `make kishu` makes it")
    cells = {}
    for done, way in enumerate(WAYS):
        rig.progress.count("checkpoints", done, len(WAYS))
        cells[way] = await _saved(way)
    note = f"{len(cells['ours'])} cells; ours without the gateway's compression, encryption and disk"

    def row(name: str, what: str, peer: str, bar: float | None, *, each: bool = False) -> Row:
        ours, theirs = ([cell[what] for cell in cells[way]] for way in ("ours", peer))
        unit = {"megabytes": "MB", "milliseconds": "ms"}[what]
        samples = [tuple(side) if each else (sum(side),) for side in (ours, theirs)]
        told = "the cell in the middle" if each else note
        return Row(name, unit, samples[0], WAYS[peer], samples[1], Bar(bar, "ratio") if bar else None, told)

    return [
        row("checkpoints of the same cells: bytes beside kishu", "megabytes", "kishu", 0.25),
        row("checkpoints of the same cells: time beside kishu", "milliseconds", "kishu", 0.1),
        row("checkpoint of one cell: time beside kishu", "milliseconds", "kishu", 0.1, each=True),
        row("checkpoints of the same cells: bytes beside cloudpickle", "megabytes", "cloudpickle", None),
        row("checkpoints of the same cells: time beside cloudpickle", "milliseconds", "cloudpickle", None),
        row("checkpoint of one cell: time beside cloudpickle", "milliseconds", "cloudpickle", None, each=True),
    ]


async def _saved(way: str) -> list[dict[str, float]]:
    """{"milliseconds", "megabytes"} of each cell."""
    with tempfile.TemporaryDirectory() as folder:
        command = (str(kishu.PYTHON), "-m", "tests.kernel_ext.checkpoint.beside", way, folder)
        process = await asyncio.create_subprocess_exec(
            *command, stdout=PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        answer, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"checkpoints by {way} failed, with status {process.returncode}")
    saved = [row for row in json.loads(answer) if row["cell"] != "restore"]
    return [{"milliseconds": row["milliseconds"], "megabytes": row["bytes"] / 1_000_000} for row in saved]
