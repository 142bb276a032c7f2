"""The yardstick for classes: the list that kishu's authors publish with it, in fresh processes."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.kernel_ext.checkpoint import kishu
from tests.kernel_ext.checkpoint.in_image import environment

WAYS = {"cloudpickle", "dill"}  # kishu keeps each variable with dill


def listed(python, environment, folder):
    """{class: (what came of saving it, the ways that load it again)} of the cases that run there."""

    def process(*arguments):
        command = [str(python), "-m", "tests.kernel_ext.checkpoint.classes", *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    dumped = process("dump", kishu.published_list(), folder)
    loaded = process("load", folder)
    return {number: (found, loaded[number]) for number, found in dumped.items() if "ran" in found}


def assert_as_good_as_the_others(cases):
    worse = [found["class"] for found, ways in cases.values() if "ours" not in ways and WAYS & set(ways)]
    missed = [found["class"] for found, _ in cases.values() if not found["changed"]]
    assert (worse, missed) == ([], [])


def test_of_the_published_classes_that_a_kernel_can_import_all_load_and_no_change_is_missed(tmp_path):
    cases = listed(sys.executable, environment(), tmp_path)
    assert {found["library"] for found, _ in cases.values()} >= {"numpy", "pandas", "matplotlib"}
    assert len(cases) >= 30
    assert [found["class"] for found, ways in cases.values() if "ours" not in ways] == []
    assert_as_good_as_the_others(cases)


@pytest.mark.skipif(not kishu.made(), reason="needs the libraries of the list (make kishu)")
def test_of_all_the_published_classes_no_fewer_load_than_with_the_peers_and_no_change_is_missed(tmp_path):
    cases = listed(kishu.PYTHON, {**environment(), "PYTHONPATH": str(ROOT)}, tmp_path)
    assert len(cases) >= 110
    assert_as_good_as_the_others(cases)
