"""The raw client of the bench gets real kernels to answer, one and several at once, and leaves none."""

import sys

from tests.bench.child import child
from tests.bench.processes import below


async def test_kernels_answer_alone_and_at_once_and_are_gone_afterwards():
    async with child("the launcher", sys.executable, "-m", "tests.bench.launching") as launching:
        assert await launching.ask("start") > 0
        held = len(below(launching.pid))
        assert await launching.ask("burst", count=3) > 0
        assert len(below(launching.pid)) == held
