"""What is written after each cell and how long that takes, beside the peers that save the same cells."""

import asyncio
import json
import os
import tempfile
from asyncio.subprocess import PIPE
from typing import Any

from tests.bench.child import ROOT
from tests.bench.measurement import Bar, Row, UnmeasurableError
from tests.bench.rig import Rig
from tests.kernel_ext.checkpoint import kishu

KISHU, CLOUDPICKLE = "kishu 0.3.4", "one full cloudpickle after each cell"
_MB = 1_000_000


async def checkpoint(rig: Rig) -> list[Row]:
    """Each way in a process of its own, one after the other, once: kishu takes 15 s."""
    if not kishu.made():
        raise UnmeasurableError("the peer's environment is missing; `make kishu` makes it")
    ways = {}
    for done, way in enumerate(("ours", "cloudpickle", "kishu")):
        rig.progress.count("checkpoints", done, 3)
        ways[way] = await _saved(way)
    ours = ways["ours"]
    cells = f"{len(ours)} cells with 130 MB of arrays, a frame and objects"
    without = f"{cells}; ours without the gateway's compression, encryption and disk"
    return [
        *_beside("kishu", KISHU, ours, ways["kishu"], (Bar(0.25, "ratio"), Bar(0.1, "ratio")), without),
        *_beside("cloudpickle", CLOUDPICKLE, ours, ways["cloudpickle"], (None, None), without),
    ]


def _beside(
    name: str,
    peer: str,
    ours: list[dict[str, Any]],
    theirs: list[dict[str, Any]],
    bars: tuple[Bar | None, Bar | None],
    note: str,
) -> list[Row]:
    (our_bytes, our_ms), (their_bytes, their_ms) = _columns(ours), _columns(theirs)
    by_bytes, by_time = bars
    return [
        Row(
            f"checkpoints of the same cells: bytes beside {name}",
            "MB",
            (sum(our_bytes) / _MB,),
            peer,
            (sum(their_bytes) / _MB,),
            by_bytes,
            note,
        ),
        Row(
            f"checkpoints of the same cells: time beside {name}",
            "ms",
            (sum(our_ms),),
            peer,
            (sum(their_ms),),
            by_time,
            note,
        ),
        Row(f"checkpoint of one cell: time beside {name}", "ms", our_ms, peer, their_ms, by_time, "the median cell"),
    ]


def _columns(cells: list[dict[str, Any]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(cell["bytes"] for cell in cells), tuple(cell["milliseconds"] for cell in cells)


async def _saved(way: str) -> list[dict[str, Any]]:
    """{"cell", "milliseconds", "bytes"} of each cell."""
    with tempfile.TemporaryDirectory() as folder:
        command = (str(kishu.PYTHON), "-m", "tests.kernel_ext.checkpoint.beside", way, folder)
        process = await asyncio.create_subprocess_exec(
            *command, stdout=PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        answer, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"checkpoints by {way} failed, with status {process.returncode}")
    return [row for row in json.loads(answer) if row["cell"] != "restore"]
