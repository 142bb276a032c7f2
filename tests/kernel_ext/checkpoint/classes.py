"""python -m tests.kernel_ext.checkpoint.classes dump LIST FOLDER | load FOLDER

`dump` makes an object of every class of a published list, saves it in our way, with cloudpickle and with dill, changes
it as the list says, and saves that. `load`, in another process, loads them all. Both tell what came of it, as JSON.
"""

import contextlib
import importlib
import json
import os
import pickle
import runpy
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from tests.kernel_ext.checkpoint.session import Session, restored

_OF_THE_NETWORK = ("load_dataset", "fetch_", "download", "from_pretrained", "pipeline(")
_SECONDS = 60  # of one case; some would wait for a network


def main() -> None:
    shown = sys.stdout
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _too_long)
    verb, *paths = sys.argv[1:]
    result = dump(*map(Path, paths)) if verb == "dump" else load(*map(Path, paths))
    shown.write(json.dumps(result))
    shown.flush()
    os._exit(0)  # libraries of the list leave threads behind


def _too_long(*_: Any) -> None:
    raise TimeoutError


def dump(published: Path, folder: Path) -> dict[str, Any]:
    """{number: {"class", and "ran" | "no": why, "changed", "dumped": ways}} of each case."""
    cases = runpy.run_path(str(published))["LIB_COVERAGE_TEST_CASES"]
    result = {}
    for number, case in enumerate(cases):
        signal.alarm(_SECONDS)
        found = result[str(number)] = {"class": case.class_name, "library": case.module_name}
        try:
            found |= _dumped(case, folder / str(number))
        except BaseException as error:
            found["no"] = f"{type(error).__name__}: {error}"[:100]
        signal.alarm(0)
    return result


def _dumped(case: Any, kept: Path) -> dict[str, Any]:
    text = "\n".join([*case.import_statements, *case.var_declare_statements])
    if any(word in text for word in _OF_THE_NETWORK):
        raise ConnectionError("it wants the network")
    session, name = Session(), case.var_name
    exec(text, dict(session.namespace))  # what does not run is not ours to save
    signal.alarm(_SECONDS)
    session.cells("\n".join(case.import_statements), "\n".join(case.var_declare_statements))
    before, ways = session.unit(name), {}
    for way in ("cloudpickle", "dill"):
        with contextlib.suppress(Exception):
            ways[way] = importlib.import_module(way).dumps(session.namespace[name])
    ours = session.manifests[session.cell]
    for statement in case.var_modify_statements:
        exec(statement, session.namespace)
        session.cell += 1
        session.saver.ran(session.cell, statement)
    session.save()
    changed = session.unit(name) != before
    kept.write_bytes(pickle.dumps((name, ways, ours, session.store)))
    return {"ran": True, "changed": changed, "kept": "lost" not in before, "dumped": sorted(ways)}


def load(folder: Path) -> dict[str, list[str]]:
    """{number: ways that load}."""
    result = {}
    for kept in sorted(folder.iterdir(), key=lambda path: int(path.name)):
        name, ways, manifest, store = pickle.loads(kept.read_bytes())
        loaded = []
        signal.alarm(_SECONDS)
        with contextlib.suppress(BaseException):
            session, lost = restored(manifest, store)
            assert name in session.namespace, lost
            loaded.append("ours")
        for way, data in ways.items():
            signal.alarm(_SECONDS)
            with contextlib.suppress(BaseException):
                importlib.import_module(way).loads(data)
                loaded.append(way)
        signal.alarm(0)
        result[kept.name] = loaded
    return result


if __name__ == "__main__":
    main()
