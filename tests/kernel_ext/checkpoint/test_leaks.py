"""No image leaves with a session's state, and nothing else is taken for one.

Kinds and disguises that the guard was made with must all be found. The held-out ones were written down before it was
made; its share of them is printed and may not fall. `measured.py` runs where the kernel's packages are.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import IMAGE

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def measured(what):
    path = os.pathsep.join(map(str, (ROOT, IMAGE / "site-packages", HERE)))
    command = [sys.executable, str(HERE / "measured.py"), what]
    ran = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def recall(what):
    count, kept = measured(what)
    found = 1 - len(kept) / count
    print(f"{what}: {count - len(kept)} of {count} removed, {found:.2%}")
    return found, kept


@pytest.mark.parametrize("what", ["encoded tuned", "decoded tuned"])
def test_every_kind_and_disguise_the_guard_was_made_with_is_removed(what):
    found, kept = recall(what)
    assert kept == []
    assert found == 1


@pytest.mark.parametrize(
    ("what", "least"),
    [
        ("encoded, kinds held out", 0.97),  # 0.965 at first sight
        ("encoded, disguises held out", 0.93),  # 0.851 at first sight
        ("encoded, both held out", 0.89),  # 0.824 at first sight
        ("decoded held out", 1),  # 1 at first sight, 0.949 after it was made faster, 1 again after one look
    ],
)
def test_of_what_was_held_out_no_less_is_removed_than_is_said(what, least):
    found, kept = recall(what)
    assert found >= least, kept


@pytest.mark.parametrize("what", ["encoded, hopeless", "decoded, hopeless"])
def test_what_nobody_can_find_is_shown_and_not_counted(what):
    found, kept = recall(what)
    assert kept
    assert found < 0.5, "say in SECURITY.md that this is found"


def test_ordinary_data_is_never_taken_for_an_image():
    count, wrong = measured("ordinary")
    assert count >= 100
    assert wrong == []


def test_two_hundred_megabytes_of_chance_hold_no_image():
    assert measured("chance") == []
