"""The gateway killed at every moment of a mutation: the upstream, which counts, has done it once or not at all."""

import asyncio
import datetime
import json
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from catalog.reviewed import block, written
from tests.broker.counting import DOCUMENT, counting

TODAY = datetime.date(2026, 11, 21)
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
CASES = [("keyed", moment, *then) for moment, then in KEYED.items()]
CASES += [("keyless", moment, *then) for moment, then in KEYLESS.items()]


@asynccontextmanager
async def lives():
    """live([{...}, ...]) -> (what the child replied, the signal that ended it)"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.broker.lives",
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip

    async def live(orders):
        process.stdin.write(json.dumps(orders).encode() + b"\n")
        ended = json.loads(await process.stdout.readline())
        return ended["replies"], ended["signal"]

    yield live
    process.stdin.close()
    await process.wait()


@pytest.mark.timeout(300)  # 312 processes: 15 s on two idle processors
async def test_a_gateway_killed_at_any_moment_never_does_a_mutation_twice(tmp_path):
    cases = iter(CASES)
    deaths = 0

    async def die_and_go_on(live, upstream, operation, moment, expected, times):
        nonlocal deaths
        orders = [
            {
                "folder": str(tmp_path / what),
                "url": upstream.url,
                "operation": operation,
                "what": what,
                "moment": "never",
            }
            for what in (f"{operation} {moment} {number}" for number in range(TIMES))
        ]
        for order in orders:
            replies, ended_by = await live([order | {"moment": moment}])
            assert (ended_by, len(replies)) == (signal.SIGKILL, moment == "after the reply")
            deaths += 1
        (first, _), (again, _) = await live(orders), await live(orders)
        for order, one, other in zip(orders, first, again, strict=True):
            assert one.get("code", "done") in expected and upstream.done[order["what"]] == times, (moment, one)
            if "code" in one:
                assert other["code"] == one["code"] and "look before you do it again" in one["message"]
            else:
                assert other["number"] == one["number"] and other["replayed"]

    async def work(upstream):
        async with lives() as live:
            for case in cases:
                await die_and_go_on(live, upstream, *case)

    async with counting() as upstream, asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work(upstream))
    assert deaths == TIMES * len(CASES) >= 200


@pytest.fixture
def specs(tmp_path):
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "counting.openapi.json").write_text(json.dumps(DOCUMENT))
    pins = [block(each, reviewer="r", date=TODAY, reason="a test") for each in written(folder).operations]
    (folder / "reviewed.toml").write_text("\n".join(pins))
    return folder


async def test_a_whole_gateway_killed_in_the_middle_of_a_call_does_it_once_when_the_request_is_sent_again(
    tmp_path, specs
):
    """Five deaths: each life gets the request that killed the one before it, and then one of its own to die of."""
    unknown = "outcome_unknown: whether"
    deaths = [  # of the upstream with keys and of the one without, and what the request gets when it is sent again
        ("keyed", "it received", "", 1),
        ("keyed", "it did", "", 1),
        ("keyed", "it did", "", 1),
        ("keyless", "it received", unknown, 0),
        ("keyless", "it did", unknown, 1),
    ]
    more = ["", "", ", idempotency_key='mine'", "", ""]
    requests = [
        [f"r{number}", f"counting.{operation}(what='{number}'{more[number]})"]
        for number, (operation, *_) in enumerate(deaths)
    ]
    async with counting() as upstream:
        for number in range(len(deaths) + 1):
            order = {
                "folder": str(tmp_path / "state"),
                "image": str(ROOT / "build" / "kernel"),
                "specs": str(specs),
                "url": upstream.url,
                "moment": f"{deaths[number][1]} {number}" if number < len(deaths) else "never",
                "cells": requests[max(number - 1, 0) : number + 1],
            }
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.broker.gateway_life",
                cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            printed, _ = await process.communicate(json.dumps(order).encode() + b"\n")
            replies = [json.loads(line) for line in printed.splitlines()]
            assert process.returncode == (-signal.SIGKILL if number < len(deaths) else 0)
            if number:
                _, _, error, times = deaths[number - 1]
                assert replies[0]["error"].startswith(error) and bool(replies[0]["error"]) == bool(error)
                assert upstream.done[str(number - 1)] == times
            assert len(replies) == (number > 0)
