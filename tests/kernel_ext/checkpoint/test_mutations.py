"""No change is missed and nothing is restored wrong, whatever cells do."""

import json
import subprocess
import sys

import pytest

from tests.kernel_ext.checkpoint.in_image import environment

_SEEDS, _PROGRAMS = range(5), 100


@pytest.mark.parametrize("seed", _SEEDS)
def test_random_programs_are_restored_as_they_were_after_any_cell_and_go_on_the_same(seed, tmp_path):
    def process(verb):
        module = "tests.kernel_ext.checkpoint.mutations"
        command = [sys.executable, "-m", module, verb, str(tmp_path), str(seed), str(_PROGRAMS)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    process("run")
    result = json.loads(process("check"))
    assert result == {"checked": _PROGRAMS, "wrong": {}}
