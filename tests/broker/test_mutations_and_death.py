"""The gateway killed at every moment of a mutation: the upstream, which counts, has done it once or not at all."""

import asyncio
import itertools
import json
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

from tests.broker.counting import counting

ROOT = Path(__file__).parents[2]
TIMES = 10
WORKERS = 2

UNKNOWN = {"outcome_unknown"}
DONE = {"done"}
# By moment of death: what the request gets when it is sent again, and how often the upstream has done it by then.
KEYED = {
    "before the write-ahead": (DONE, 1),
    "after the write-ahead": (DONE, 1),
    "before the upstream's call": (DONE, 1),
    "it received": (DONE, 1),
    "it did": (DONE, 1),
    "it answered": (DONE, 1),
    "after the upstream's call": (DONE, 1),
    "before the answer's record": (DONE, 1),
    "after the answer's record": (DONE, 1),
    "before the reply": (DONE, 1),
    "after the reply": (DONE, 1),
}
KEYLESS = KEYED | {
    "before `sent`": (DONE, 1),
    "after `sent`": (UNKNOWN, 0),
    "before the upstream's call": (UNKNOWN, 0),
    "it received": (UNKNOWN, 0),
    "it did": (UNKNOWN, 1),
    "it answered": (UNKNOWN | DONE, 1),  # the death may come before or after the answer is written down
    "after the upstream's call": (UNKNOWN, 1),
    "before the answer's record": (UNKNOWN, 1),
}
CASES = [("keyed", *case) for case in KEYED.items()] + [("keyless", *case) for case in KEYLESS.items()]


@asynccontextmanager
async def lives():
    """live({...}) -> (what it replied or None, the signal that ended it)"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.broker.lives",
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip

    async def live(**order):
        process.stdin.write(json.dumps(order).encode() + b"\n")
        ended = json.loads(await process.stdout.readline())
        return json.loads(ended["reply"] or "null"), -ended["signal"]

    yield live
    process.stdin.close()
    await process.wait()


async def test_a_gateway_killed_at_any_moment_never_does_a_mutation_twice(tmp_path):
    trials = iter([(number, *case) for number, case in enumerate(itertools.chain(*[CASES] * TIMES))])
    killed = Counter()
    failures = []

    async def work(upstream):
        async with lives() as live:
            for number, operation, moment, (expected, times) in trials:
                what = f"{operation} {number}"
                order = {"folder": str(tmp_path / what), "url": upstream.url, "operation": operation, "what": what}
                reply, ended_by = await live(**order, moment=moment)
                killed[operation, moment] += ended_by == signal.SIGKILL
                assert (reply is not None) == (moment == "after the reply")
                first, _ = await live(**order, moment="never")
                again = first if number >= len(CASES) else (await live(**order, moment="never"))[0]
                got = {first.get("code", "done"), again.get("code", "done")}
                if not (len(got) == 1 and got <= expected and upstream.done[what] == times):
                    failures.append((operation, moment, first, again, upstream.done[what]))
                if got == DONE:
                    assert first["number"] == again["number"] == (reply or first)["number"]
                    assert again["replayed"] or again is first
                else:
                    assert "look before you do it again" in first["message"]

    async with counting() as upstream, asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work(upstream))
    assert failures == []
    assert set(killed.values()) == {TIMES} and killed.total() >= 200
