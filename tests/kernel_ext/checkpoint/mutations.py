"""python -m tests.kernel_ext.checkpoint.mutations run|check FOLDER SEED PROGRAMS

`run` runs random programs and keeps what was saved after one of their cells, with what the namespace held then.
`check`, in another process, restores that and goes on to the end of each program: both must be what they were.
"""

import contextlib
import json
import pickle
import random
import sys
from pathlib import Path
from typing import Any

from tests.kernel_ext.checkpoint.canonical import canonical
from tests.kernel_ext.checkpoint.programs import PREAMBLE, next_cell
from tests.kernel_ext.checkpoint.session import AMPLE, Session, restored

_CELLS = 14
_FATES = ("committed", "committed", "committed", "none", "stopped", "uncommitted")


def run(seed: int) -> dict[str, Any]:
    """As with a gateway: some cells come before the last is saved, or stop its save; not all is committed."""
    rng = random.Random(seed)
    session, sources = Session(), [PREAMBLE]
    texts: dict[int, str] = {}
    wrongly_lost: set[str] = set()
    for number in range(1, _CELLS + 1):
        session.run(sources[-1])
        fate = "committed" if number == _CELLS else rng.choice(_FATES)
        if fate == "stopped":
            looks = iter([False] * rng.randrange(12))
            with contextlib.suppress(BaseException):
                session.saver.save(AMPLE, lambda *_: None, lambda looks=looks: next(looks, True))
        elif fate == "uncommitted":
            session.saver.save(AMPLE, lambda *_: None, lambda: False)
        elif fate == "committed":
            lost = lost_of(session.save())
            wrongly_lost |= {name for name in lost if not _kept_by_nobody(canonical({name: session.namespace[name]}))}
            texts[number] = canonical(session.namespace, lost)
        sources.append(next_cell(rng, session.namespace))
    at = rng.choice(sorted(texts))
    return {
        "seed": seed,
        "sources": sources[:_CELLS],
        "at": at,
        "manifest": session.manifests[at],
        "last": session.manifests[_CELLS],
        "store": session.store,
        "then": texts[at],
        "end": texts[_CELLS],
        "wrongly_lost": sorted(wrongly_lost),
    }


def lost_of(manifest: dict[str, Any]) -> set[str]:
    return {name for unit in manifest["units"] if "lost" in unit for name in unit["names"]}


def check(case: dict[str, Any]) -> list[str]:
    """What is not as it was."""
    found = [f"{name} was lost" for name in case["wrongly_lost"]]
    session, lost = restored(case["manifest"], case["store"])
    found += differences("restored", case["then"], canonical(session.namespace))
    found += [f"{name}: {lost[name]}" for name in lost.keys() - lost_of(case["manifest"])]
    final, _ = restored(case["last"], case["store"])
    found += differences("the last", case["end"], canonical(final.namespace))
    if lost or found:
        return found
    session, _ = restored(case["manifest"], case["store"])
    for source in case["sources"][case["at"] :]:
        session.run(source)
        session.save()
    again, _ = restored(session.manifests[session.cell], session.store)
    return differences("gone on and restored", case["end"], canonical(again.namespace))


def differences(what: str, wanted: str, found: str) -> list[str]:
    if wanted == found:
        return []
    pairs = zip(wanted.split("\n"), found.split("\n"), strict=False)
    return [next((f"{what}: {a}\n  is {b}" for a, b in pairs if a != b), f"{what}: {wanted}\n  is {found}")]


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
