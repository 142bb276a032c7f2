"""Which processes are below another, and how they are ended."""

import os
import subprocess

import pytest

from tests.bench.processes import Process, below, pss_mib, without_children
from tests.conftest import until


@pytest.fixture
def tree():
    """A shell with a child."""
    shell = subprocess.Popen(["sh", "-c", "sleep 60; exit"])
    yield shell
    for process in below(shell.pid):
        process.kill()
    shell.kill()
    shell.wait()


async def test_children_are_found_and_those_without_children_of_their_own(tree):
    await until(lambda: below(tree.pid))
    (sleep,) = below(tree.pid)
    assert (sleep.parent, sleep.is_zombie) == (tree.pid, False)
    mine = [process for process in below(os.getpid()) if process.pid in (tree.pid, sleep.pid)]
    assert without_children(mine) == [sleep]


async def test_a_killed_process_is_gone_and_nothing_else_is_killed(tree):
    await until(lambda: below(tree.pid))
    (sleep,) = below(tree.pid)
    assert not Process(sleep.pid, parent=1, state="S").kill()
    assert below(tree.pid)
    assert sleep.kill()
    await until(lambda: not below(tree.pid))
    await until(lambda: not sleep.kill())
    assert Process.read(sleep.pid) is None


def test_a_process_has_memory_of_its_own():
    assert 1 < pss_mib(os.getpid()) < 10_000
