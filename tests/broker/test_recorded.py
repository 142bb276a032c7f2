"""A cell that is run again gets the answers of its first run, in their order, and nothing else."""

import pytest

from kernel_gateway.broker import Notes, Recorded
from kernel_gateway.broker.recorded import MAX_ANSWER_BYTES, MAX_CELL_BYTES
from kernel_gateway.errors import GatewayError


def refusal(recorded, *call):
    with pytest.raises(GatewayError) as caught:
        recorded.answer(*call)
    return caught.value


def test_the_same_call_gets_the_same_answers_in_their_order():
    notes = Notes()
    notes.value("a:get", {"id": 1, "n": 2}, "first")
    notes.value("a:get", {"n": 2, "id": 1}, "second")
    notes.value("a:get", {"id": 2}, "other")
    recorded = Recorded(notes.text())
    assert recorded.answer("a:get", {"id": 2}) == "other"
    assert [recorded.answer("a:get", {"id": 1, "n": 2}) for _ in range(2)] == ["first", "second"]
    assert refusal(recorded, "a:get", {"id": 2}).code == "not_available"


def test_a_call_that_failed_fails_again_in_the_same_way():
    notes = Notes()
    notes.error("a:get", {}, GatewayError("limited", "slow down", retry_after=2.0))
    again = refusal(Recorded(notes.text()), "a:get", {})
    assert (again.code, again.message, again.retry_after) == ("limited", "slow down", 2.0)


def test_what_is_long_is_not_kept():
    notes = Notes()
    notes.value("a:get", {"id": 1}, "x" * (MAX_ANSWER_BYTES - 200))
    notes.value("a:get", {"id": 2}, "x" * MAX_ANSWER_BYTES)
    recorded = Recorded(notes.text())
    assert recorded.answer("a:get", {"id": 1})
    assert refusal(recorded, "a:get", {"id": 2}).code == "not_available"
    for number in range(MAX_CELL_BYTES // (MAX_ANSWER_BYTES - 200) + 10):
        notes.value("b:get", {"id": number}, "x" * (MAX_ANSWER_BYTES - 200))
    assert len(notes.text()) <= MAX_CELL_BYTES + 10 * MAX_ANSWER_BYTES


def test_without_a_record_nothing_is_answered():
    assert refusal(Recorded(b""), "a:get", None).code == "not_available"
