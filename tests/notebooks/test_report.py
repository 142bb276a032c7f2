"""One line about what differs, for each way in which a cell can do so."""

import pytest

from notebooks.report import report
from notebooks.transcript import Ran

FIRST, SECOND = "a" * 32, "b" * 32


def ran(status="ok", ename="", outputs=(), calls=()):
    event = {"cell_id": "cell_1", "status": status, "ename": ename, "outputs": list(outputs)}
    return Ran(event, tuple({"operation": operation, "status": ended} for operation, ended in calls))


def said(before, now, **more):
    return report(1, "cell_1", before, now, **{"edited": False, "may_fail": False, **more})


SAME_CALLS = [("a:b", "ok"), ("a:c", "ok")]
SAME = ran(outputs=[["stdout", 3, "x" * 64, FIRST]], calls=SAME_CALLS)


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (ran("error", "KeyError"), "it ended as error (KeyError), and as ok when it ran"),
        (ran(calls=[("a:b", "ok")]), "it did not call `a:c` (ok), as it did when it ran"),
        (
            ran(calls=[("a:b", "ok"), ("a:c", "ok"), ("a:d", "ok")]),
            "it called `a:d` (ok), as it did not when it ran",
        ),
        (
            ran(calls=[("a:b", "ok"), ("a:c", "denied")]),
            "it called `a:c` (denied) and did not call `a:c` (ok), as it did when it ran",
        ),
        (ran(calls=SAME_CALLS), "it showed nothing, and stdout when it ran"),
        (
            ran(outputs=[["stdout", 4, "y" * 64, SECOND]], calls=SAME_CALLS),
            "its stdout is another (4 bytes, 3 when it ran), not only in times, ids and addresses",
        ),
    ],
)
def test_a_difference_is_one_line(now, why):
    found = said(SAME, now)
    assert (found.same, found.why) == (False, why)


def test_other_exact_digests_and_another_order_of_calls_are_no_difference():
    now = ran(outputs=[["stdout", 5, "y" * 64, FIRST]], calls=[("a:c", "ok"), ("a:b", "ok")])
    assert said(SAME, now).same


def test_what_is_edited_is_said_where_it_differs():
    assert said(SAME, ran("lost"), edited=True).why.endswith("; its text is not the one that ran")
    assert said(SAME, SAME, edited=True).same


def test_of_an_unknown_cell_it_is_expected_that_it_does_what_it_is_told():
    assert said(None, ran()).same
    assert said(None, ran("error", "KeyError"), may_fail=True).same
    assert not said(None, ran("lost"), may_fail=True).same
    why = "it ended as error (KeyError), and nothing is on record to compare with"
    assert said(None, ran("error", "KeyError")).why == why


def test_what_is_not_recorded_comes_first():
    found = said(SAME, ran("error", "ToolError", calls=[("a:b", "ok"), ("a:c", "not_available")]))
    assert found.not_recorded == ("a:c",)
    assert found.why == "it needs what `a:c` answered, which is not recorded; `--live` asks again"


def test_a_record_of_an_earlier_version_is_compared_by_its_exact_digest():
    before = ran(outputs=[["text/plain", 3, "x" * 64]])
    assert said(before, ran(outputs=[["text/plain", 3, "x" * 64, FIRST]])).same
    assert not said(before, ran(outputs=[["text/plain", 3, "y" * 64, FIRST]])).same
