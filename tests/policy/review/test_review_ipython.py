"""IPython's own transformer, from the kernel image, makes nothing of a cell that our reading of it does not cover."""

import ast
import json
import random
import re
import subprocess
import sys
import warnings
from pathlib import Path

from catalog.reviewed import load_served
from kernel_gateway.policy.plan import ANY
from kernel_gateway.policy.review import review
from tests.policy.review.test_review_evasions import HONEST, SEEN

CATALOG, _ = load_served()
IMAGE = Path(__file__).parents[3] / "build" / "kernel" / "site-packages"

TRANSFORM = """
import json, sys, warnings
warnings.simplefilter("ignore")
from IPython.core.inputtransformer2 import TransformerManager
for code in json.load(sys.stdin):
    try:
        print(json.dumps(TransformerManager().transform_cell(code)))
    except Exception:
        print(json.dumps(None))
"""
PIECES = [
    "image_ops.jobs_get(id=1)", "x", "=", "%time ", "%", "!", "!!", "?", "??", "%%time\n", "%%prun\n", "\n", "\n    ",
    "    ", "'''", '"', "'", "(", ")", ";", ",", "/", "#", "\\\n", "if x:\n    ", ">>> ", "... ", "In [1]: ", "a, b = ",
    "f?", "%matplotlib inline", "{image_ops.quota_get()}", "$x", "\u2028", "\r", "\t", "rerun", "time ", "f()", "pass",
    "1", "...:", "[", "]", ":", " ",
]  # fmt: skip
HARMLESS = re.compile(r"get_ipython\(\)\.(?:run_(?:line|cell)_magic\('(?:pinfo2?|psearch|matplotlib|time)'|show_usage)")


def cells(chance):
    yield from (*SEEN.values(), *HONEST.values())
    for _ in range(2500):
        yield "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 9)))
    shown = list(SEEN.values())
    for _ in range(1000):
        pieces = [chance.choice(shown), "\n", "%time ", "   ", "'''", "\n!ls\n", "x?\n", ">>> "]
        yield "".join(chance.sample(pieces, 4))


def transformed(codes):
    ran = subprocess.run(
        [sys.executable, "-c", TRANSFORM], input=json.dumps(codes), capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(IMAGE)},
    )  # fmt: skip
    return [json.loads(line) for line in ran.stdout.splitlines()]


def is_python(code):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return True


def uncovered(code, as_run):
    """What running `as_run` can call and the review of `code` does not say."""
    found = review(code, CATALOG, {}, (), 50)
    if found.refused or ANY in found.plan.calls:
        return []
    commands = as_run.count("get_ipython()") - len(HARMLESS.findall(as_run))
    calls = review(as_run, CATALOG, {}, (), 50).plan.calls
    return ["a command"] * commands + [
        each for each, count in calls.items() if each != ANY and found.plan.calls.get(each, 0) < count
    ]


def test_what_ipython_makes_of_a_cell_is_covered_by_the_reading_of_it():
    codes = list(cells(random.Random(7)))
    runs = [(code, as_run) for code, as_run in zip(codes, transformed(codes), strict=True) if as_run]
    python = [(code, as_run) for code, as_run in runs if is_python(as_run)]
    assert len(python) > 800
    changed = [code for code, as_run in python if code.strip() != as_run.strip()]
    assert len(changed) > 200
    assert [(code, as_run) for code, as_run in python if uncovered(code, as_run)] == []
