"""python -m tests.kernel_ext.checkpoint.beside ours|cloudpickle|kishu FOLDER

Runs the same cells and saves after each, in one way. Tells, as JSON, for each cell {"cell", "milliseconds", "bytes"}:
what saving took and how much was written; and "restore", the milliseconds of loading the last state again.
Runs in build/kishu, where all three are.
"""

import json
import os
import pathlib
import sys
import time
from typing import Any

CELLS = (
    "import numpy as np, pandas as pd",
    "x = 1",
    "a = np.random.rand(13_107_200)",
    "b = np.random.rand(1_310_720)",
    "items = list(range(300_000))",
    "n = 200_000; df = pd.DataFrame({'u': np.random.rand(n), 'v': np.arange(n), 'w': np.random.choice([*'xyz'], n)})",
    "def total(n): return n + x",
    "x = total(x)",
    "a[5] = 1.0",
    "b[5] = 1.0",
    "items[5] = 1",
    "df.loc[5, 'u'] = 1.0",
    "mean = a.mean()",
    "y = [x, x]",
)


def ours(_: str) -> list[dict[str, Any]]:
    from tests.kernel_ext.checkpoint.session import Session, restored

    session, rows = Session(), []
    for source in CELLS:
        session.run(source)
        started = time.perf_counter()
        session.save()
        rows.append(row(source, started, sum(session.sent.values())))
    started = time.perf_counter()
    restored(session.manifests[session.cell], session.store)
    return [*rows, row("restore", started, 0)]


def cloudpickle(_: str) -> list[dict[str, Any]]:
    import cloudpickle as pickler

    namespace: dict[str, Any] = {"__name__": "__main__"}
    rows, data = [], b""
    for source in CELLS:
        exec(source, namespace)
        own = {name: value for name, value in namespace.items() if not name.startswith("__")}
        started = time.perf_counter()
        data = pickler.dumps(own)
        rows.append(row(source, started, len(data)))
    started = time.perf_counter()
    pickler.loads(data)
    return [*rows, row("restore", started, 0)]


def kishu(folder: str) -> list[dict[str, Any]]:
    """As its own tests drive it: the hooks that its extension registers, around each cell."""
    notebook = pathlib.Path(folder) / "cells.ipynb"
    notebook.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    os.environ.update(KISHU_PATH_ROOT=folder, KISHU_TEST_MODE="true", TEST_NOTEBOOK_PATH=str(notebook), HOME=folder)
    from IPython.core.interactiveshell import InteractiveShell
    from kishu.jupyterint import KishuForJupyter
    from kishu.notebook_id import NotebookId

    shell = InteractiveShell.instance()
    instrument = KishuForJupyter(notebook_id=NotebookId.from_enclosing_with_key("key"), ip=shell)
    spent = [0.0]

    def timed(hook: Any) -> Any:
        def call(*arguments: Any) -> None:
            started = time.perf_counter()
            hook(*arguments)
            spent[0] += time.perf_counter() - started

        return call

    shell.events.register("pre_run_cell", timed(instrument.pre_run_cell))
    shell.events.register("post_run_cell", timed(instrument.post_run_cell))
    rows, before = [], size(folder)
    for source in CELLS:
        spent[0] = 0.0
        shell.run_cell(source, store_history=True)
        now = size(folder)
        rows.append({"cell": source, "milliseconds": spent[0] * 1e3, "bytes": now - before})
        before = now
    return rows


def size(folder: str) -> int:
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


def row(source: str, started: float, written: int) -> dict[str, Any]:
    return {"cell": source, "milliseconds": (time.perf_counter() - started) * 1e3, "bytes": written}


def main() -> None:
    shown, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115
    way = {"ours": ours, "cloudpickle": cloudpickle, "kishu": kishu}[sys.argv[1]]
    shown.write(json.dumps(way(sys.argv[2])))


if __name__ == "__main__":
    main()
