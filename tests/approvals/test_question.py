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
UPLOAD = image_ops_catalog().get("image_ops:uploads_init")
QUOTA = image_ops_catalog().get("image_ops:quota_get")
UNTIL = 1_795_273_500.0
LIMIT = 8000


def question(arguments, operation=UPLOAD, limit=LIMIT, redact=redact):
    return of_call(operation, arguments, "high", UNTIL, limit, redact)


def lines_of(text):
    return [line.strip() for line in text.split("\n") if line.startswith("  ")]


def leaves(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if inner is None else [leaf for each in inner for leaf in leaves(each)]


def test_the_question_about_a_call():
    assert question({"ids": ["upl_1", "job_2"], "idempotency_key": "demo-2"}, CLEANUP) == (
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
    outside = re.sub(r'"(?:[^"\\]|\\.)*"(?: \(\d+ characters, not all shown\))?', "", line.removeprefix("  ids:"))
    assert re.fullmatch(r"[\[\]{}:, 0-9-]*(?:(?:true|false|null|REDACTED|[\[\]{}:, 0-9-])*)", outside), outside
    line = re.sub("[\u2068\u2069]", "", line)  # ours, around letters from right to left
    assert not {unicodedata.category(each) for each in line} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def test_secrets_are_not_shown_and_how_much_is_not_is_said():
    url = "https://files.test/a?X-Amz-Signature=" + "ab" * 32
    (line,) = lines_of(question({"ids": [url, "upl_1"]}))
    assert line.startswith('ids: ["https://files.test/a?') and "abab" not in line
    assert line.endswith(f'" ({len(url)} characters, not all shown), "upl_1"]')
    hunter, nested = lines_of(question({"password": "hunter2000", "x": {"api_key": "Zq81kfLwp02mQxVb"}}))
    assert hunter == 'password: "" (10 characters, not all shown)'
    assert "Zq81" not in nested


TAKES_ALONG = ["secret='", "'", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", 'password="', "token="]
text = st.sampled_from([*TAKES_ALONG, "WHAT NOBODY APPROVED", "crop"]) | st.text(max_size=8)


@given(
    st.recursive(
        text, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=3), max_leaves=8
    )
)
def test_what_looks_like_a_secret_takes_no_other_argument_along(value):
    (line,) = lines_of(question({"operations": value}))
    quoted = re.findall(r'"(?:[^"\\]|\\.)*"(?: \(\d+ characters, not all shown\))?(:?)', line)
    assert quoted.count("") == len(leaves(value))


def test_what_can_do_great_harm_is_not_asked_about_where_a_secret_would_be_left_out():
    with pytest.raises(GatewayError) as caught:
        question({"ids": ["password='hunter2000'"], "idempotency_key": "k"}, CLEANUP)
    assert caught.value.code == "invalid" and "looks like a secret" in caught.value.message


def test_what_is_too_long_to_be_shown_is_not_even_searched_for_secrets():
    searched = []

    def watched(text):
        searched.append(text)
        return text

    with pytest.raises(GatewayError):
        question({"ids": ["x" * 250_000]}, redact=watched)
    with pytest.raises(GatewayError):
        question({"ids": ["\u202e" * LIMIT]}, redact=watched)
    assert searched == []


def test_a_question_that_gets_too_long_by_what_is_not_shown_is_refused():
    with pytest.raises(GatewayError) as caught:
        question({"ids": ["password='hunter2000'"] * 4}, limit=120)
    assert caught.value.code == "too_large"


def test_arguments_are_shown_whole_up_to_the_limit_and_refused_beyond_it():
    around = len('  ids: [""]')
    assert "x" * (LIMIT - around) in question({"ids": ["x" * (LIMIT - around)]})
    with pytest.raises(GatewayError) as caught:
        question({"ids": ["x" * (LIMIT - around + 1)]})
    assert caught.value.code == "too_large"
