"""Thirty sessions with random ends; `python -m tests.soak` runs a thousand."""

import pytest

from tests.bench.progress import Progress
from tests.soak.fates import FATES
from tests.soak.run import soak


@pytest.mark.timeout(240)
async def test_nothing_is_left_of_sessions_whose_kernels_templates_and_clients_end_at_random():
    done = await soak(30, 1, Progress())
    assert done.left == dict.fromkeys(done.left, 0)
    assert {"processes", "zombies", "orphans", "cgroups", "mounts", "files", "descriptors", "tasks"} <= set(done.left)
    assert set(done.fates) == {fate.__name__ for fate in FATES}
    assert done.answers["ok"] > done.sessions / 2
    assert not [line for line in done.log if "crashed" in line or "Traceback" in line], done.log
    assert set(done.answers) <= {"ok", "error", "interrupted", "not_found", "kernel_died", "sandbox"}
