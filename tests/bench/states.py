"""Variables that sessions keep, of so many bytes, and what one plain process takes to have the same from its pickle.

`python states.py dump FILE` runs the cell on standard input and pickles what it made; `load FILE` says in milliseconds
how long unpickling it took. Both need the packages of the kernel's image and nothing of ours.
"""

import os
import pickle
import sys
import time
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

UNPICKLING = "unpickling it in a plain process"
_ARRAYS = 10
_RECORD_BYTES = 312  # a dictionary of three keys with its text and its numbers, by sys.getsizeof


class State(NamedTuple):
    """`made` is the cell that makes it, `look` one whose result shows it."""

    made: str
    look: str


def arrays(megabytes: int) -> State:
    one = f"numpy.random.default_rng({{}}).random({megabytes * 1_000_000 // 8 // _ARRAYS})"
    made = "\n".join(f"array_{n} = {one.format(n)}" for n in range(_ARRAYS))
    look = f"[float(each[-1]) for each in ({', '.join(f'array_{n}' for n in range(_ARRAYS))})]"
    return State(f"import numpy\n{made}", look)


def objects(megabytes: int) -> State:
    count = megabytes * 1_000_000 // _RECORD_BYTES
    made = f"records = [{{'number': n, 'name': f'item {{n}}', 'price': n * 0.5}} for n in range({count})]"
    return State(made, "len(records), records[-1]")


TINY = State("names, count = ['a', 'b'], 3", "names, count")
CHANGE_ARRAYS = "\n".join(f"array_{n} += 1" for n in range(_ARRAYS))


async def dumped(state: State, file: Path, packages: Path) -> int:
    """How many bytes its pickle has."""
    await _run("dump", file, packages, state.made)
    return file.stat().st_size


async def unpickled(file: Path, packages: Path) -> float:
    """Milliseconds, in a process that did nothing before but import what is in it."""
    return float(await _run("load", file, packages))


async def _run(verb: str, file: Path, packages: Path, code: str = "") -> str:
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    process = await create_subprocess_exec(
        sys.executable, __file__, verb, str(file), stdin=PIPE, stdout=PIPE, env=environment
    )
    answer, _ = await process.communicate(code.encode())
    if process.returncode:
        raise RuntimeError(f"`{verb}` of a pickle failed, with status {process.returncode}")
    return answer.decode()


def _dump(file: Path) -> None:
    import cloudpickle

    made: dict[str, object] = {"__name__": "__main__"}
    exec(sys.stdin.read(), made)
    file.write_bytes(cloudpickle.dumps({name: made[name] for name in made if not name.startswith("__")}))


def _load(file: Path) -> None:
    import_module("pandas")  # which is not part of it
    with file.open("rb") as stream:
        started = time.perf_counter()
        state = pickle.load(stream)
        taken = (time.perf_counter() - started) * 1000
    print(taken if state else "nothing")


if __name__ == "__main__":
    {"dump": _dump, "load": _load}[sys.argv[1]](Path(sys.argv[2]))
