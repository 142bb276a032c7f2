"""Full Jupyter behaviour of our kernel, in the real sandbox, held by tests of others.

`sources.py` fetches them, `suites.py` lists what runs and what deviates, `plugin.py` and `blocking.py` put our kernel
where they expect ipykernel: each file runs as its authors wrote it, in a pytest of its own.
"""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.conftest import IMAGE, ROOT
from tests.jupyter.sources import PINS, sources
from tests.jupyter.suites import DEVIATIONS, LAUNCHERS, LEFT_OUT, SKIPPED_UPSTREAM, SUITES

HERE = ROOT / "tests" / "jupyter"


def distribution(name):
    (folder,) = sources().glob(f"{name}-*")
    return folder


def listed(table, suite):
    return {name for name in table if name.partition("::")[0] == suite.file.rpartition("/")[2].removesuffix(".py")}


def run(suite, settings, folder):
    """How each test of the file ended by its name, and all that its pytest said."""
    source, outcomes = distribution(suite.source), folder / "outcomes.json"
    profiles = folder / "ipython"
    (profiles / "profile_default").mkdir(parents=True)  # which whoever has used IPython before has
    path = [ROOT, HERE, source, IMAGE / "site-packages"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "JUPYTER_RUNTIME_DIR": str(folder),
        "IPYTHONDIR": str(profiles),
        "SUITE_SETTINGS": json.dumps(settings),
        "OUTCOMES": str(outcomes),
    }
    root = HERE if (HERE / suite.file).is_file() else source
    command = [sys.executable, "-m", "pytest", "-c", HERE / "suite.ini", "--rootdir", root, root / suite.file]
    ran = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
    output = ran.stdout + ran.stderr
    assert outcomes.is_file(), output
    return json.loads(outcomes.read_text()), output


@pytest.mark.timeout(300)
@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.file)
def test_a_file_of_others_passes_but_for_the_listed_deviations(suite, launcher, tmp_path):
    outcomes, output = run(suite, {"sandbox": {"image": str(IMAGE), **LAUNCHERS[launcher]}}, tmp_path)
    ended = {each: {name for name, outcome in outcomes.items() if outcome == each} for each in ("failed", "skipped")}
    assert len(outcomes) == suite.tests, output
    assert ended["failed"] == listed(DEVIATIONS, suite), output
    assert ended["skipped"] == listed(SKIPPED_UPSTREAM, suite), output


def test_every_listed_test_belongs_to_a_suite():
    known = set().union(*(listed({**DEVIATIONS, **SKIPPED_UPSTREAM}, suite) for suite in SUITES))
    assert known == {*DEVIATIONS, *SKIPPED_UPSTREAM}


def test_the_specification_lists_the_deviations():
    section = (ROOT / "SPECIFICATION.md").read_text().partition("### Deviations")[2].partition("\n## ")[0]
    assert dict(re.findall(r"^\| `(\S+)` \| (.*) \|$", section, re.MULTILINE)) == DEVIATIONS


def test_every_file_of_ipykernels_tests_is_run_or_left_out_for_a_reason():
    folder = distribution("ipykernel") / "tests"
    files = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("test_*.py")}
    taken = {suite.file.removeprefix("tests/").removesuffix(".py") for suite in SUITES if suite.source == "ipykernel"}
    assert files == taken | set(LEFT_OUT)
    assert taken & set(LEFT_OUT) == set()


def test_the_tests_are_those_of_the_ipykernel_that_the_image_holds():
    def pinned(path):
        return [line.split()[0] for line in path.read_text().splitlines() if line.startswith("ipykernel==")]

    assert pinned(PINS) == pinned(ROOT / "requirements" / "kernel.txt") != []
