"""The pure part of exporting: what an agent wrote stays in its cell, and what happened can be seen."""

import html
import json
import re

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert import HTMLExporter

from notebooks.export import notebook
from notebooks.transcript import cells

DIGEST = "a" * 64


def ran(number, *, id_=None, status="ok", session_id="ses_1", **more):
    """`id_` tells apart cells of the same number."""
    return {
        "kind": "cell_ran",
        "at": 1_700_000_000.0 + number,
        "cell": number,
        "cell_id": f"cell_{id_ or number:024x}",
        "parent_id": f"cell_{number - 1:024x}" if number > 1 else "",
        "session_id": session_id,
        "author": "agent",
        "source_digest": DIGEST,
        "status": status,
        "ename": "",
        "duration_ms": 1.5,
        "outputs": [["stdout", 3, DIGEST, "b" * 32]],
        "approver": "auto",
        **more,
    }


def called(number, operation="image_ops:jobs_create", **more):
    return {
        "kind": "operation_called",
        "cell": number,
        "cell_id": f"cell_{number:024x}",
        "operation": operation,
        "status": "ok",
        "decision": "allow",
        "approver": "user",
        "duration_ms": 2.0,
        "replayed": False,
        **more,
    }


def made_of(events, *texts):
    ids = [event["cell_id"] for event in events if event["kind"] == "cell_ran"]
    return notebook("ses_1", events, dict(zip(ids, texts, strict=False)))


def prose(made):
    return "\n".join(cell["source"] for cell in made["cells"] if cell["cell_type"] == "markdown")


GOLDEN = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {
        "kernelspec": {"name": "agent-kernel", "display_name": "Agent kernel", "language": "python"},
        "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
        "kernel_gateway": {"format": 1, "session_id": "ses_1"},
    },
}
GOLDEN_CELL = {
    "cell_type": "code",
    "id": "cell_000000000000000000000001",
    "execution_count": None,
    "metadata": {
        "kernel_gateway": {
            "cell": 1,
            "at": 1_700_000_001.0,
            "status": "ok",
            "duration_ms": 1.5,
            "source_digest": DIGEST,
            "outputs": [["stdout", 3, DIGEST, "b" * 32]],
            "author": "agent",
            "approver": "auto",
            "parent": "",
            "calls": [
                {
                    "operation": "image_ops:jobs_create",
                    "status": "ok",
                    "decision": "allow",
                    "approver": "user",
                    "duration_ms": 2.0,
                    "replayed": False,
                }
            ],
        }
    },
    "outputs": [],
    "source": "print('yes')",
}


def test_one_cell_is_this_notebook():
    made = made_of([called(1), ran(1)], "print('yes')")
    (about, cell) = made.pop("cells")
    assert (made, cell) == (GOLDEN, GOLDEN_CELL)
    assert (about["cell_type"], about["id"]) == ("markdown", "about")
    assert "Session `ses_1`" in about["source"] and "kernel-gateway sessions replay" in about["source"]


def test_a_session_without_a_cell_is_a_notebook_too():
    made = notebook("ses_1", [], {})
    nbformat.validate(made)
    assert [cell["id"] for cell in made["cells"]] == ["about"]


def test_a_failed_cell_says_so_and_may_fail_again():
    made = made_of([ran(1, status="error", ename="ValueError"), ran(2, status="lost")], "1/0", "x")
    assert "Cell 1 failed: `ValueError`." in prose(made)
    assert "The kernel ended in cell 2, and every variable with it." in prose(made)
    tags = [cell["metadata"]["tags"] for cell in made["cells"] if cell["cell_type"] == "code"]
    assert tags == [["raises-exception"]] * 2


def test_a_branch_that_was_given_up_is_shown_and_not_run_again():
    events = [ran(1), ran(2), ran(3), ran(2, id_=20), ran(3, id_=30)]
    assert [cell.is_given_up for cell in cells(events)] == [False, True, True, False, False]
    made = made_of(events, *"abcde")
    assert "Here the session went back: cell 2 goes on from cell 1 of before." in prose(made)
    skipped = [cell["source"] for cell in made["cells"] if "skip-execution" in cell["metadata"].get("tags", ())]
    assert skipped == ["b", "c"]


def test_a_session_that_went_back_twice_has_one_branch_that_counts():
    events = [ran(1), ran(2), ran(2, id_=20), ran(3), ran(1, id_=10), ran(2, id_=21)]
    assert [cell.is_given_up for cell in cells(events)] == [True] * 4 + [False] * 2


def test_a_fork_says_where_anothers_cells_end():
    made = made_of([ran(1, session_id="ses_0"), ran(2), ran(3)], "a", "b", "c")
    assert prose(made).count("Here the session was forked from another") == 1
    assert [cell["metadata"].get("tags") for cell in made["cells"] if cell["cell_type"] == "code"] == [None] * 3


def test_a_fork_says_that_it_began_with_anothers_state_where_that_is_not_known():
    made = made_of([ran(4), ran(5)], "a", "b")
    assert prose(made).count("This session was forked: cell 4 began") == 1
    assert [cell.is_given_up for cell in cells([ran(4), ran(5)])] == [False, False]


def test_a_cell_whose_text_was_not_kept_is_named():
    assert "The text of cell 2 was not kept." in prose(made_of([ran(1), ran(2)], "a"))


HOSTILE = [
    "</script><script>alert(1)</script>",
    "# heading\n\n<img src=x onerror=alert(1)>",
    "```\n</code></pre></div><h1>out</h1>",
    "\u202e\u2066 reversed \u2069\u202c",
    "\x00\x07\x1b[2J\x1b]0;title\x07\r\x0b\x0c\u2028\u2029",
    '"]}], "metadata": {"trusted": true}, "cells": [',
    "x" * 65_536,
    "%%html\n<script>alert(1)</script>",
    "",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_in_its_cell_when_it_is_rendered(text):
    made = made_of([ran(1), ran(2)], text, "print('after')")
    assert nbformat.reads(json.dumps(made), as_version=4).cells[1].source == text
    exporter = HTMLExporter(template_name="basic")
    shown, _ = exporter.from_notebook_node(nbformat.from_dict(made))
    assert "<script>alert" not in shown and "<img src=x" not in shown and "<h1>out" not in shown
    assert len(re.findall(r'class="cell [^"]*code_cell', shown)) == 2
    assert "after" in html.unescape(shown)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ok", "error", "timeout", "interrupted", "lost", "disabled", "denied"]),
        st.integers(0, 12),
        st.integers(0, 3),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(EVENTS, st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=12))
def test_any_session_is_a_valid_notebook_whose_prose_is_ours(rows, texts):
    events = []
    for number, (status, parent, calls) in enumerate(rows, 1):
        events += [called(number)] * calls
        events.append(ran(min(parent + 1, number), id_=number, status=status, ename="ValueError"))
    made = made_of(events, *texts)
    nbformat.validate(made)
    assert json.loads(json.dumps(made)) == made
    blank = made_of(events, *("" for _ in texts))
    assert prose(made) == prose(blank), "what an agent wrote is in a markdown cell"
    assert all(cell["outputs"] == [] for cell in made["cells"] if cell["cell_type"] == "code")
    assert "trusted" not in json.dumps([made["metadata"], *(cell["metadata"] for cell in made["cells"])])
