"""The census finds what is planted: a soak that finds nothing has looked."""

import os
import signal
import subprocess
import sys

from tests.conftest import until
from tests.soak.census import adopting, census, left


def test_what_is_left_is_what_there_is_more_of():
    assert left({"files": 2, "tasks": 3}, {"files": 5, "tasks": 1}) == {"files": 3, "tasks": 0}


def test_a_process_a_zombie_a_file_and_a_descriptor_more_are_seen(tmp_path):
    before = census(os.getpid(), tmp_path)
    alive = subprocess.Popen(["sleep", "60"])
    dead = subprocess.Popen(["true"])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    with (tmp_path / "forgotten").open("w"):
        found = left(before, census(os.getpid(), tmp_path))
    alive.kill()
    alive.wait()
    dead.wait()
    planted = {"processes": 1, "zombies": 1, "files": 1, "descriptors": 1}
    assert {kind: count for kind, count in found.items() if count} == planted | {"orphans": found["orphans"]}


async def test_a_process_whose_parent_died_is_still_found(tmp_path):
    orphaned = "import subprocess; print(subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL).pid)"
    with subprocess.Popen(["sleep", "60"]) as gateway, adopting():
        before = census(gateway.pid, tmp_path)
        orphan = int(subprocess.check_output([sys.executable, "-c", orphaned]))
        assert left(before, census(gateway.pid, tmp_path))["orphans"] == 1
        os.kill(orphan, signal.SIGKILL)
        await until(lambda: left(before, census(gateway.pid, tmp_path))["orphans"] == 0)
        gateway.kill()
