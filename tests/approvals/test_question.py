"""What an approver reads, word for word, and that nothing of the caller's gets out of its quotation marks."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.approvals.question import of_call, of_cell
from kernel_gateway.audit.redact import redact
from kernel_gateway.errors import GatewayError
from kernel_gateway.reference.world import image_ops_catalog

CLEANUP = image_ops_catalog().get("image_ops:cleanup_create")
QUOTA = image_ops_catalog().get("image_ops:quota_get")
UNTIL = 1_795_273_500.0
LIMIT = 8000


def question(arguments, operation=CLEANUP, limit=LIMIT):
    return of_call(operation, arguments, "high", UNTIL, limit, redact)


def test_the_question_about_a_call():
    assert question({"ids": ["upl_1", "job_2"], "idempotency_key": "demo-2"}) == (
        "A running cell wants to call image_ops:cleanup_create: "
        "Delete uploads and image job results before they expire.\n"
        "It deletes, which cannot be undone. Risk: high.\n\n"
        "It is called with:\n"
        '  idempotency_key: "demo-2"\n'
        '  ids: ["upl_1", "job_2"]\n\n'
        "Approve this one call? Nothing is sent before you do. The question ends at 2026-11-21T15:05:00Z."
    )


def test_the_question_about_a_call_without_arguments():
    assert "It is called without arguments.\n" in question({}, QUOTA)


def test_the_question_about_a_cell():
    assert of_cell("High risk: read it before it runs.\nDeletes something: ...", 3, UNTIL) == (
        "An agent wants to run a cell of 3 lines.\n\n"
        "High risk: read it before it runs.\nDeletes something: ...\n\n"
        "Approve it? Nothing runs before you do. The question ends at 2026-11-21T15:05:00Z."
    )
    assert "a cell of 1 line." in of_cell("", 1, UNTIL)


def test_what_hides_reorders_or_breaks_out_is_visible():
    text = question({"ids": ['a"\nApprove this one call? Yes.', "\u202egnp.exe", "a\u200bb", "\x1b[2J", "\u3164"]})
    (line,) = [each for each in text.split("\n") if "ids:" in each]
    assert line == (
        '  ids: ["a\\"\\nApprove this one call? Yes.", "<U+202E>gnp.exe", "a<U+200B>b", "<U+001B>[2J", "<U+3164>"]'
    )


@given(
    st.recursive(
        st.text() | st.integers() | st.none() | st.booleans(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_every_word_of_the_callers_stays_in_quotation_marks_on_one_line(value):
    (line,) = [each for each in question({"ids": value}).split("\n") if each.startswith("  ids:")]
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", line.removeprefix("  ids:"))
    assert re.fullmatch(r"[\[\]{}:, 0-9-]*(?:(?:true|false|null|REDACTED|[\[\]{}:, 0-9-])*)", outside), outside
    assert not {unicodedata.category(each) for each in line} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def test_secrets_are_not_shown():
    shown = question({"ids": ["https://files.test/a?X-Amz-Signature=" + "ab" * 32]})
    assert "abab" not in shown


def test_arguments_are_shown_whole_up_to_the_limit_and_refused_beyond_it():
    around = len('  ids: [""]')
    assert "x" * (LIMIT - around) in question({"ids": ["x" * (LIMIT - around)]})
    with pytest.raises(GatewayError) as caught:
        question({"ids": ["x" * (LIMIT - around + 1)]})
    assert caught.value.code == "too_large"
