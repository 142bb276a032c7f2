"""Shows the rows: a table for people, build/bench.json for programs, and every sample for whoever doubts them."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.measurement import Row, percentile_95

_HEAD = ("figure", "median", "p95", "n", "against", "median", "p95", "ratio", "bar", "holds")
_TO_THE_LEFT = (0, 4)


def table(rows: Sequence[Row]) -> str:
    """One line a figure; below them what has to be known of some."""
    lines = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    shown = [
        "  ".join(
            cell.ljust(width) if column in _TO_THE_LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    notes = [f"{row.figure}: {row.note}" for row in rows if row.note]
    return "\n".join([*shown, "", *notes] if notes else shown)


def _cells(row: Row) -> tuple[str, ...]:
    ours, theirs = _pair(row.ours, row.unit), _pair(row.theirs, row.unit)
    bar = f"{row.bar.of} <= {row.bar.at_most:g}" if row.bar else ""
    held = ("yes" if row.holds else "NO") if row.bar else ""
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return (row.figure, *ours, str(len(row.ours)), row.peer, *theirs, ratio, bar, held)


def _pair(samples: Sequence[float], unit: str) -> tuple[str, str]:
    if not samples:
        return "", ""
    return f"{statistics.median(samples):.2f} {unit}", f"{percentile_95(samples):.2f}"


def save(rows: Sequence[Row], machine: Mapping[str, Any], folder: Path) -> None:
    """`bench.json`, the contract's list, and `bench/samples.json`."""
    (folder / "bench").mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps([row.json() for row in rows], indent=1) + "\n", encoding="utf-8")
    samples = {"machine": dict(machine), "rows": [_samples(row) for row in rows]}
    (folder / "bench" / "samples.json").write_text(json.dumps(samples) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """What the figures depend on besides the product."""
    return {
        "python": platform.python_version(),
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_1_minute": round(os.getloadavg()[0], 2),
    }


def _samples(row: Row) -> dict[str, Any]:
    return {
        "figure": row.figure,
        "unit": row.unit,
        "bar_of": row.bar.of if row.bar else None,
        "ours": [round(each, 4) for each in row.ours],
        "peer": row.peer,
        "theirs": [round(each, 4) for each in row.theirs],
        "note": row.note,
    }
