"""A cell that is run again gets the answers of its first run, in their order, and nothing else."""

import asyncio

import pytest

from kernel_ext.wire import Kind
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Cell, Notes, Recorded
from kernel_gateway.broker.recorded import MAX_ANSWER_BYTES, MAX_CELL_BYTES
from kernel_gateway.errors import GatewayError
from tests.broker.test_broker_transfers import put_requests, stored, writable, write
from tests.conftest import until

LONGEST = "x" * (MAX_ANSWER_BYTES - len('{"value": ""}'))


def answered(notes, operation, arguments, value):
    notes.value(notes.begin(operation, arguments), value)


def refusal(recorded, *call):
    with pytest.raises(GatewayError) as caught:
        recorded.answer(*call)
    return caught.value


def test_the_same_call_gets_the_same_answers_in_their_order():
    notes = Notes()
    answered(notes, "a:get", {"id": 1, "n": 2}, "first")
    answered(notes, "a:get", {"n": 2, "id": 1}, "second")
    answered(notes, "a:get", {"id": 2}, "other")
    recorded = Recorded(notes.text())
    assert recorded.answer("a:get", {"id": 2}) == "other"
    assert [recorded.answer("a:get", {"id": 1, "n": 2}) for _ in range(2)] == ["first", "second"]
    assert refusal(recorded, "a:get", {"id": 2}).code == "not_available"
    assert refusal(recorded, "b:get", {"id": 1}).code == "not_available"


def test_a_call_that_failed_fails_again_in_the_same_way():
    notes = Notes()
    notes.error(notes.begin("a:get", {}), GatewayError("limited", "slow down", retry_after=2.0))
    again = refusal(Recorded(notes.text()), "a:get", {})
    assert (again.code, again.message, again.retry_after) == ("limited", "slow down", 2.0)


def test_calls_that_ended_in_another_order_are_answered_in_the_order_in_which_they_were_made():
    notes = Notes()
    first, never, third = (notes.begin("a:get", {}) for _ in range(3))
    notes.value(third, "of the third")
    notes.error(first, GatewayError("limited", "slow down"))
    recorded = Recorded(notes.text())
    assert refusal(recorded, "a:get", {}).code == "limited"
    assert refusal(recorded, "a:get", {}).code == "not_available", f"place {never} did not end"
    assert recorded.answer("a:get", {}) == "of the third"


def test_what_is_long_is_not_kept():
    notes = Notes()
    for value in (LONGEST, LONGEST + "x", "short", "é" * (MAX_ANSWER_BYTES // 2), "last"):
        answered(notes, "a:get", {}, value)
    recorded = Recorded(notes.text())
    assert recorded.answer("a:get", {}) == LONGEST
    assert refusal(recorded, "a:get", {}).code == "not_available"
    assert recorded.answer("a:get", {}) == "short"
    assert refusal(recorded, "a:get", {}).code == "not_available", "two bytes for each character are too long"
    assert recorded.answer("a:get", {}) == "last"


def test_all_answers_and_places_of_a_cell_have_so_many_bytes_at_most():
    notes = Notes()
    for _ in range(MAX_CELL_BYTES // MAX_ANSWER_BYTES + 2):
        answered(notes, "a:get", {}, LONGEST)
    kept = MAX_CELL_BYTES // MAX_ANSWER_BYTES - 1  # the places take some bytes too
    text = notes.text()
    assert MAX_CELL_BYTES - MAX_ANSWER_BYTES < len(text) <= MAX_CELL_BYTES
    recorded = Recorded(text)
    assert [recorded.answer("a:get", {}) for _ in range(kept)] == [LONGEST] * kept
    assert refusal(recorded, "a:get", {}).code == "not_available"
    for _ in range(MAX_ANSWER_BYTES // 50):  # there is no room for so many places
        answered(notes, "b:get", {}, 1)
    assert len(notes) < MAX_ANSWER_BYTES // 50 and len(notes.text()) <= MAX_CELL_BYTES + 2


def test_what_is_no_text_or_too_deep_is_no_error():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    notes = Notes()
    answered(notes, "a:get", {"q": "\ud800"}, "\ud800")
    answered(notes, "a:get", deep, 1)
    answered(notes, "b:get", {}, deep)
    recorded = Recorded(notes.text())
    assert recorded.answer("a:get", {"q": "\ud800"}) == "\ud800"
    assert recorded.answer("a:get", deep) == 1
    assert refusal(recorded, "b:get", {}).code == "not_available"


def test_without_a_record_nothing_is_answered():
    assert not Notes() and refusal(Recorded(b""), "a:get", None).code == "not_available"
    assert refusal(Recorded(Notes().text()), "a:get", None).code == "not_available"


def again(scene):
    """The running cell, run again."""
    recorded = Recorded(scene.cell.notes.text())
    scene.cell = Cell(Principal(**scene.identity), "s1", 1, "cell-1", recorded=recorded)


async def test_identical_calls_at_once_get_their_own_answers_again_those_refused_too(scene_with):
    scene = await scene_with({"max_concurrent_calls": 3})
    ended = []

    async def last_comes_first(handler):
        number = len(scene.server.seen)
        await until(lambda: len(scene.server.seen) == 3 and len(ended) == 3 - number)
        handler.set_header("Content-Type", "application/json")
        handler.write({"name": str(number)})
        await handler.finish()
        ended.append(number)

    scene.server.respond = last_comes_first
    asked = {"operation": "store:files_get", "arguments": {"id": "a"}}
    first = await asyncio.gather(*(scene.ask(Kind.CALL, asked) for _ in range(4)))
    assert ended == [3, 2, 1] and first[3].head["code"] == "busy"
    assert len({str(reply.head) for reply in first}) == 4
    again(scene)
    second = [await scene.ask(Kind.CALL, asked) for _ in range(4)]
    assert [(reply.kind, reply.head) for reply in second] == [(reply.kind, reply.head) for reply in first]
    assert len(scene.server.seen) == 3


async def test_bytes_that_were_refused_once_are_refused_again_and_never_sent(scene):
    stored(scene)
    handle = await writable(scene)
    first = [await write(scene, handle, data) for data in (b"of another size", b"data")]
    assert [reply.kind for reply in first] == [Kind.ERROR, Kind.RESULT] and len(put_requests(scene)) == 1
    again(scene)
    assert [(await write(scene, handle, b"data")).head for _ in range(2)] == [reply.head for reply in first]
    assert len(put_requests(scene)) == 1
