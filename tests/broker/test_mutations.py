"""A mutation through the inner door: one key, one record, one answer."""

import asyncio

import pytest

from kernel_ext.wire import Kind
from kernel_gateway.broker import Account, Cell
from kernel_gateway.limits.effects import ANSWER
from kernel_gateway.limits.idempotency import Origin
from kernel_gateway.upstreams.base import UpstreamError
from tests.conftest import until

NEW = {"content_type": "image/png", "size_bytes": 1}
LINK = "https://files.test/u?X-Amz-Signature=0123456789abcdef0123456789abcdef"


def keys(scene):
    return [request.headers["Idempotency-Key"] for request in scene.server.seen]


def run_again(scene, session="s1", asked="s1", code="code", request="r1", number=7):
    """The cell of a request that is sent again: another cell id, another number."""
    origin = Origin.of_request(asked, 0, code, request)
    scene.cell = Cell(scene.cell.principal, session, number, f"cell-{number}", origin)
    scene.account = Account(session, "acme")


async def test_the_same_key_with_the_same_arguments_gets_the_first_answer_and_the_upstream_is_not_asked(scene):
    scene.answers({"n": 1})
    first = await scene.call("files_delete", ids=["a"], idempotency_key="k")
    scene.next_cell()
    assert await scene.call("files_delete", ids=["a"], idempotency_key="k") == first
    assert len(scene.server.seen) == 1
    assert scene.cell.records[0].replayed and scene.events[-1].replayed and not scene.events[0].replayed


async def test_the_same_key_with_other_arguments_is_a_conflict(scene):
    scene.answers({})
    await scene.call("files_delete", ids=["a"], idempotency_key="k")
    refused = await scene.refused("files_delete", ids=["b"], idempotency_key="k")
    assert refused["code"] == "conflict" and "`idempotency_key`" in refused["message"]
    assert len(scene.server.seen) == 1


async def test_the_same_key_while_the_first_call_is_under_way_is_busy(scene):
    answered = asyncio.Event()
    scene.server.respond = lambda handler: answered.wait()
    first = asyncio.create_task(
        scene.ask(Kind.CALL, {"operation": "store:files_delete", "arguments": {"ids": [], "idempotency_key": "k"}})
    )
    await until(lambda: scene.server.seen)
    refused = await scene.refused("files_delete", ids=[], idempotency_key="k")
    assert (refused["code"], refused["retry_after"]) == ("busy", 1.0)
    assert (await scene.refused("files_delete", ids=["b"], idempotency_key="k"))["code"] == "conflict"
    answered.set()
    await first


async def test_a_replayed_answer_holds_the_handle_and_the_disk_no_link(scene, tmp_path):
    scene.answers({"upload_url": LINK}, 201)
    first = await scene.call("files_create", **NEW, idempotency_key="k")
    assert await scene.call("files_create", **NEW, idempotency_key="k") == first
    on_disk = b"".join(path.read_bytes() for path in tmp_path.glob("gateway.db*"))
    assert b"Signature" not in on_disk and first["upload_url"]["$blob"]["id"].encode() not in on_disk
    await scene.effects.forget_session("s1")
    assert await scene.vault.names("s1", ANSWER) == []


async def test_identical_calls_of_a_cell_are_each_done(scene):
    scene.answers({"upload_url": "https://files.test/u"}, 201)
    for _ in range(3):
        await scene.call("files_create", **NEW)
    assert len(set(keys(scene))) == 3


async def test_a_request_sent_again_carries_the_same_keys_whatever_became_of_its_session(scene):
    scene.answers({"upload_url": "https://files.test/u"}, 201)
    for session, number in (("s1", 1), ("s2", 2)):
        run_again(scene, session, asked="", number=number)
        for _ in range(2):
            await scene.call("files_create", **NEW)
    first, second, third, fourth = keys(scene)
    assert (first, second) == (third, fourth) and first != second


async def test_another_request_code_or_session_is_another_key(scene):
    scene.answers({"upload_url": "https://files.test/u"}, 201)
    for change in ({}, {"request": "r2"}, {"code": "other"}, {"asked": "s9"}):
        run_again(scene, **change)
        await scene.call("files_create", **NEW)
    assert len(set(keys(scene))) == 4


async def test_a_request_sent_again_in_its_session_gets_the_kept_answers(scene):
    scene.answers({})
    for number in (1, 2):
        run_again(scene, number=number)
        await scene.call("files_touch", id=1)
    assert len(scene.server.seen) == 1 and scene.cell.records[0].replayed


async def test_a_failed_call_made_again_in_its_cell_carries_the_same_key(scene):
    scene.answers({}, 500)
    refused = await scene.refused("files_create", **NEW)
    assert "made again in this cell" in refused["message"] and refused["code"] == "upstream"
    scene.answers({"upload_url": "https://files.test/u"}, 201)
    await scene.call("files_create", **NEW)
    assert len(set(keys(scene))) == 1 and len(keys(scene)) == 2


@pytest.mark.parametrize(
    ("status", "code"), [(500, "upstream"), (503, "upstream_unavailable"), (302, "upstream_invalid")]
)
async def test_without_keys_an_outcome_nobody_knows_is_said_and_never_tried_again(scene, status, code):
    scene.answers({}, status)
    for _ in range(2):
        refused = await scene.refused("files_touch", id=1)
        assert refused["code"] == "outcome_unknown" and "retry_after" not in refused
        assert "whether `store:files_touch` was done is not known; look" in refused["message"]
    assert len(scene.server.seen) == 1
    assert [event.http_status for event in scene.events] == [status, 0]
    scene.answers({})
    scene.next_cell().cell_id = "cell-2"
    await scene.call("files_touch", id=1)  # a new cell is a new intention


async def test_a_key_whose_call_was_refused_may_be_used_with_corrected_arguments(scene):
    scene.answers({}, 422)
    await scene.refused("files_delete", ids=["wrong"], idempotency_key="k")
    scene.answers({})
    await scene.call("files_delete", ids=["right"], idempotency_key="k")


@pytest.mark.parametrize("status", [400, 404, 409, 429])
async def test_what_the_upstream_refused_may_be_asked_for_again(scene, status):
    scene.answers({}, status)
    await scene.refused("files_touch", id=1)
    scene.answers({})
    await scene.call("files_touch", id=1)


async def test_what_never_reached_the_upstream_may_be_asked_for_again(scene):
    upstream = scene.broker._services.upstreams["store"]
    scene.broker._services.upstreams["store"] = Failing(upstream, [NEVER_SENT])
    assert (await scene.refused("files_touch", id=1))["code"] == "upstream_unavailable"
    scene.answers({})
    await scene.call("files_touch", id=1)


async def test_of_two_attempts_one_that_may_have_arrived_makes_the_outcome_unknown(scene):
    """The second cannot connect: that says nothing of the first."""
    upstream = scene.broker._services.upstreams["store"]
    scene.broker._services.upstreams["store"] = failing = Failing(upstream, [BROKEN, NEVER_SENT])
    assert (await scene.refused("files_create", **NEW))["code"] == "upstream_unavailable"
    scene.answers({"upload_url": "https://files.test/u"}, 201)
    await scene.call("files_create", **NEW)
    assert len(failing.keys) == 3 and len(set(failing.keys)) == 1


async def test_a_second_attempt_that_meets_the_first_one_at_work_is_no_conflict_of_the_caller(scene):
    scene.answers({}, 409, Retry_After="3")
    scene.broker._services.upstreams["store"] = Failing(scene.upstream, [BROKEN])
    refused = await scene.refused("files_create", **NEW)
    assert refused["code"] == "upstream_unavailable" and refused["retry_after"] == 3.0
    assert "still at work on the first attempt" in refused["message"]


@pytest.mark.parametrize("status", [403, 422, 429])
async def test_a_second_attempt_that_is_refused_says_nothing_of_the_first(scene, status):
    """The first may have done it: its connection broke. The key is not free for anything else."""
    scene.answers({}, status)
    scene.broker._services.upstreams["store"] = Failing(scene.upstream, [BROKEN])
    refused = await scene.refused("files_delete", ids=["a"], idempotency_key="k")
    assert refused["message"].endswith("the same call is done at most once")
    scene.answers({})
    assert (await scene.refused("files_delete", ids=["b"], idempotency_key="k"))["code"] == "conflict"
    await scene.call("files_delete", ids=["a"], idempotency_key="k")
    assert len(set(keys(scene))) == 1


async def test_a_repeat_that_is_refused_says_nothing_of_the_call_before_it(scene):
    scene.answers({}, 500)
    await scene.refused("files_delete", ids=["a"], idempotency_key="k")
    scene.answers({}, 429)
    refused = await scene.refused("files_delete", ids=["a"], idempotency_key="k")
    assert (refused["code"], "at most once" in refused["message"]) == ("limited", True)
    states = await scene.database.run(lambda c: c.exec_driver_sql("SELECT state FROM effects").scalars().all())
    assert states == ["sent"]


async def test_a_field_that_was_blocked_since_is_not_in_a_kept_answer(scene):
    answer = {"upload_url": LINK, "method": "PUT", "Secret": "s", "inner": [{"secret": 1, "id": 2}]}
    scene.answers(answer, 201)
    first = await scene.call("files_create", **NEW, idempotency_key="k")
    assert first["Secret"] == "s" and first["upload_url"]["$blob"]["direction"] == "write"
    scene.broker._services.authorizer._hidden = frozenset({"secret", "direction", "method"})  # as a reload does
    again = await scene.call("files_create", **NEW, idempotency_key="k")
    assert again == {"upload_url": first["upload_url"], "inner": [{"id": 2}]}
    assert len(scene.server.seen) == 1


async def test_a_success_that_cannot_be_read_was_done_and_is_not_done_again(scene):
    scene.answers("nonsense")
    assert (await scene.refused("files_touch", id=1))["code"] == "upstream_invalid"
    scene.answers({})
    refused = await scene.refused("files_touch", id=1)
    assert refused["code"] == "conflict" and "was done for this request already" in refused["message"]
    assert len(scene.server.seen) == 1


async def test_a_call_that_ends_with_its_cell_is_not_done_again_by_the_same_request(scene_with):
    scene = await scene_with({"call_timeout_seconds": 1})
    run_again(scene)
    scene.server.respond = lambda handler: asyncio.Event().wait()
    call = asyncio.create_task(scene.ask(Kind.CALL, {"operation": "store:files_touch", "arguments": {"id": 1}}))
    await until(lambda: scene.server.seen)
    call.cancel()
    await asyncio.wait({call})
    run_again(scene, number=8)
    assert (await scene.refused("files_touch", id=1))["code"] == "outcome_unknown"
    assert len(scene.server.seen) == 1


async def test_a_read_is_neither_written_down_nor_kept(scene):
    scene.answers({"name": "n"})
    for _ in range(2):
        await scene.call("files_get", id="x")
    assert len(scene.server.seen) == 2
    count = await scene.database.run(lambda c: c.exec_driver_sql("SELECT count(*) FROM effects").scalar())
    assert count == 0


async def test_nothing_is_changed_where_it_cannot_be_written_down(scene):
    await scene.database.run(lambda connection: connection.exec_driver_sql("DROP TABLE effects"))
    assert (await scene.refused("files_touch", id=1))["code"] == "internal"
    scene.broker._calls._mutations._effects = None
    assert (await scene.refused("files_touch", id=1))["code"] == "disabled"
    assert scene.server.seen == []


async def test_what_an_earlier_life_left_open_is_in_the_journal_once(scene):
    scene.answers({}, 500)
    await scene.refused("files_create", **NEW)
    scene.events.clear()
    await scene.broker.recover()
    await scene.broker.recover()
    (event,) = scene.events
    assert (event.kind, event.operation, event.session_id, event.cell_id, event.keyed) == (
        "effect_left", "store:files_create", "s1", "cell-1", True,
    )  # fmt: skip


BROKEN = UpstreamError("upstream_unavailable", "the connection broke")
NEVER_SENT = UpstreamError("upstream_unavailable", "cannot be reached", sent=False)


class Failing:
    """The real upstream, whose first calls fail as they are told to."""

    def __init__(self, inner, errors):
        self._inner, self._errors, self.keys = inner, list(errors), []
        self.name, self.storage, self.host = inner.name, inner.storage, inner.host

    async def call(self, operation, arguments, *, idempotency_key, **options):
        self.keys.append(idempotency_key)
        if self._errors:
            raise self._errors.pop(0)
        return await self._inner.call(operation, arguments, idempotency_key=idempotency_key, **options)
