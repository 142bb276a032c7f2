"""A plan is a ceiling per operation, and the risk of an operation never falls below its effect's."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.reviewed import load_served
from kernel_gateway.policy.plan import ANY, Plan
from kernel_gateway.policy.risk import Risk, risk_of

CATALOG, _ = load_served()
counts = st.dictionaries(st.sampled_from(["a:x", "a:y", "b:z"]), st.integers(0, 4))


def test_a_plan_permits_what_it_says_and_not_one_call_more():
    plan = Plan({"a:x": 2})
    assert plan.permits("a:x", {"a:x": 1})
    assert not plan.permits("a:x", {"a:x": 2})
    assert not plan.permits("a:y", {})


def test_any_operation_comes_on_top_and_all_of_them_share_its_number():
    plan = Plan({"a:x": 1, ANY: 2})
    assert plan.permits("a:x", {"a:x": 1, "a:y": 1})
    assert not plan.permits("a:x", {"a:x": 2, "a:y": 1})
    assert plan.permits("a:x", {"a:y": 2}), "its own share is not used up by others"


@given(calls=counts, free=st.integers(0, 3), wanted=st.lists(st.sampled_from(["a:x", "a:y", "b:z"]), max_size=20))
def test_whatever_is_asked_no_operation_gets_more_than_its_share_and_the_free_ones(calls, free, wanted):
    plan, made = Plan({**calls, ANY: free}), {}
    for operation in wanted:
        if plan.permits(operation, made):
            made[operation] = made.get(operation, 0) + 1
    assert sum(max(0, count - calls.get(each, 0)) for each, count in made.items()) <= free


@given(calls=counts)
def test_the_canonical_form_does_not_depend_on_the_order(calls):
    backwards = dict(reversed(list(calls.items())))
    assert list(Plan(calls).canonical().items()) == list(Plan(backwards).canonical().items())


def test_risks_have_an_order_of_their_own():
    assert sorted(Risk, reverse=True) == [Risk.CRITICAL, Risk.HIGH, Risk.MEDIUM, Risk.LOW]
    assert Risk.HIGH >= "medium" and Risk.LOW < "medium" and Risk("low") <= Risk.LOW and Risk.HIGH > Risk.MEDIUM


@pytest.mark.parametrize(
    ("operation", "risk"),
    [("image_ops:quota_get", "low"), ("image_ops:jobs_create", "medium"), ("image_ops:cleanup_create", "high")],
)
def test_a_read_is_low_a_write_medium_and_a_deletion_high(operation, risk):
    assert risk_of(CATALOG.get(operation)) == risk


@pytest.mark.parametrize(("said", "risk"), [("low", "medium"), ("high", "high"), ("critical", "critical")])
def test_the_word_of_a_document_raises_the_risk_and_never_lowers_it(said, risk):
    assert risk_of(replace(CATALOG.get("image_ops:jobs_create"), risk=said)) == risk
