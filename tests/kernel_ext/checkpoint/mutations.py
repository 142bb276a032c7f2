"""python -m tests.kernel_ext.checkpoint.mutations run|check FOLDER SEED PROGRAMS

`run` runs random programs and keeps what was saved after one of their cells, with what the namespace held then.
`check`, in another process, restores that and goes on to the end of each program: both must be what they were.
"""

import json
import pickle
import random
import sys
from pathlib import Path
from typing import Any

from tests.kernel_ext.checkpoint.canonical import canonical
from tests.kernel_ext.checkpoint.programs import PREAMBLE, next_cell
from tests.kernel_ext.checkpoint.session import Session, restored

_CELLS = 14


def run(seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    session = Session()
    sources, texts = [PREAMBLE], []
    state = rng.getstate()
    for number in range(_CELLS):
        session.run(sources[number])
        session.save()
        texts.append(canonical(session.namespace))
        rng.setstate(state)
        sources.append(next_cell(rng, session.namespace))
        state = rng.getstate()
    at = random.Random(seed).randrange(1, _CELLS + 1)
    return {
        "seed": seed,
        "sources": sources[:_CELLS],
        "at": at,
        "manifest": session.manifests[at],
        "last": session.manifests[_CELLS],
        "store": session.store,
        "then": texts[at - 1],
        "end": texts[-1],
    }


def check(case: dict[str, Any]) -> list[str]:
    """What is not as it was."""
    session, lost = restored(case["manifest"], case["store"])
    found = differences("restored", case["then"], canonical(session.namespace), lost)
    final, lost_at_end = restored(case["last"], case["store"])
    found += differences("the last", case["end"], canonical(final.namespace), lost_at_end)
    if lost or found:
        return found
    session, _ = restored(case["manifest"], case["store"])
    for source in case["sources"][case["at"] :]:
        session.run(source)
        session.save()
    again, lost = restored(session.manifests[session.cell], session.store)
    return differences("gone on and restored", case["end"], canonical(again.namespace), lost)


def differences(what: str, wanted: str, found: str, lost: dict[str, str]) -> list[str]:
    """A name may only be lost with what nobody can keep in it."""
    wrong = [f"{name} is lost: {why}" for name, why in lost.items() if not _kept_by_nobody(why)]
    if lost:
        wanted, found = (_without_numbers(text, lost) for text in (wanted, found))
    if wanted == found:
        return wrong
    pairs = zip(wanted.split("\n"), found.split("\n"), strict=False)
    first = next((f"{a}\n  is {b}" for a, b in pairs if a != b), f"{wanted}\n  is {found}")
    return [*wrong, f"{what}: {first}"]


def _without_numbers(text: str, lost: dict[str, str]) -> str:
    """What is lost takes its numbers with it."""
    lines = [line for line in text.split("\n") if line.partition(" = ")[0] not in lost and not _kept_by_nobody(line)]
    return "\n".join(" ".join(word for word in line.split(" ") if not word.startswith("#")) for line in lines)


def _kept_by_nobody(text: str) -> bool:
    return "generator" in text or "open file" in text


def main() -> None:
    verb, folder, seed, programs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    kept = folder / f"{seed}.pickle"
    sys.stdout, shown = open("/dev/null", "w"), sys.stdout  # noqa: SIM115
    if verb == "run":
        kept.write_bytes(pickle.dumps([run(seed * 10_000 + number) for number in range(programs)]))
        return
    cases = pickle.loads(kept.read_bytes())
    wrong = {case["seed"]: (found, case["sources"], case["at"]) for case in cases if (found := check(case))}
    shown.write(json.dumps({"checked": len(cases), "wrong": wrong}))


if __name__ == "__main__":
    main()
