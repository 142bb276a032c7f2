"""Forty-odd cells and what a review says of each: cells.toml reads as its documentation."""

import tomllib
from pathlib import Path

import pytest

from catalog.reviewed import load_served
from kernel_gateway.policy.review import review

CATALOG, _ = load_served()
CELLS = tomllib.loads((Path(__file__).parent / "cells.toml").read_text(encoding="utf-8"))["cell"]


def read(code, helpers=None):
    return review(code, CATALOG, helpers or {}, ("requests",), 50)


@pytest.mark.parametrize("cell", CELLS, ids=[cell["title"] for cell in CELLS])
def test_the_review_says_what_the_documentation_says(cell):
    helpers = read(cell["earlier"]).definitions if "earlier" in cell else {}
    found = read(cell["code"], helpers)
    assert found.plan.canonical() == cell["plan"]
    assert found.risk == cell["risk"]
    assert [f"{each.rule} {each.line}" for each in found.violations] == cell["violations"]
    assert found.explanation == cell["explanation"]


def test_the_documentation_shows_forty_cells_and_every_rule_that_a_short_cell_can_break():
    assert len(CELLS) >= 40
    assert len({cell["title"] for cell in CELLS}) == len(CELLS)
