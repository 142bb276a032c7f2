"""A cell calls an operation: decided, checked, sent once, answered sealed, written down."""

import asyncio
import itertools
import json
import logging
from dataclasses import replace

import pytest

from kernel_ext.wire import Kind
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Account, CallRecord, Cell
from kernel_gateway.broker.schemas import MAX_WORDS
from kernel_gateway.upstreams.base import UpstreamError
from tests.conftest import until


async def test_a_call_returns_the_answer_and_is_written_down(scene):
    scene.answers({"name": "cat"})
    assert await scene.call("files_get", id="f1") == {"name": "cat"}
    (event,) = scene.events
    assert (event.operation, event.effect, event.decision, event.rule) == (
        "store:files_get",
        "read",
        "allow",
        "scope_held",
    )
    assert (event.status, event.http_status, event.cell, event.cell_id) == ("ok", 200, 1, "cell-1")
    assert (event.organisation, event.subject, event.client, event.session_id) == ("acme", "ada", "agent", "s1")
    assert event.request_bytes == len('{"id":"f1"}') and event.answer_bytes == len('{"name": "cat"}')
    assert scene.cell.records == [CallRecord("store:files_get", "ok", 0.0, False)]
    assert (scene.cell.calls, scene.account.calls) == (1, 1)


async def test_no_event_holds_an_argument_or_a_value(scene):
    scene.answers({"name": "answer-secret"})
    await scene.call("files_get", id="argument-secret")
    await scene.refused("files_get", id=7)
    await scene.ask(Kind.CALL, {"operation": "smuggled-secret" * 9, "arguments": {"x": "argument-secret"}})
    assert "secret" not in repr(scene.events) + repr(scene.cell.records)
    assert [event.operation for event in scene.events][-1] == "<unknown>"


@pytest.mark.parametrize("kind", [Kind.CALL, Kind.SEARCH, Kind.READ, Kind.WRITE])
async def test_nothing_is_done_while_no_cell_runs(scene, kind):
    reply = await scene.ask(kind, {"operation": "store:files_get", "arguments": {"id": "x"}}, cell=None)
    assert reply.head["code"] == "denied" and "no cell is running" in reply.head["message"]
    assert scene.server.seen == [] and scene.account.calls == 0


async def test_stray_calls_are_written_down_up_to_the_sessions_cap(scene_with):
    scene = await scene_with({"max_calls_per_session": 3})
    for _ in range(5):
        await scene.refused("files_get", None, id="x")
    assert [(event.rule, event.decision, event.status) for event in scene.events] == [("no_turn", "deny", "denied")] * 3


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("store:file_get", "`store:files_get`"),
        ("files_create", "`store:files_create`"),
        ("", "search_tools"),
        ("zzzz", "search_tools"),
        ("vault_open", "search_tools"),
        ("a`b\n\x1b[31m" + "x" * 5000, "search_tools"),
        (None, "search_tools"),
        (["x"], "search_tools"),
    ],
)
async def test_an_unknown_operation_is_not_found_with_the_nearest_names_the_caller_may_use(scene, name, hint):
    reply = await scene.ask(Kind.CALL, {"operation": name, "arguments": {}})
    assert reply.head["code"] == "not_found" and hint in reply.head["message"]
    assert "vault_open`?" not in reply.head["message"] and len(reply.head["message"]) < 300
    assert reply.head["message"].isprintable()


async def test_calls_are_listed_in_the_order_in_which_they_were_asked_for(scene):
    released = {name: asyncio.Event() for name in ("a", "b", "c")}

    async def hold(handler):
        await released[handler.request.path.rpartition("/")[2]].wait()
        handler.write({})

    scene.server.respond = hold
    head = {"operation": "store:files_get"}
    tasks = [asyncio.create_task(scene.ask(Kind.CALL, head | {"arguments": {"id": name}})) for name in "abc"]
    while len(scene.server.seen) < 3:
        await asyncio.sleep(0)
    await scene.refused("files_touch", fly=1)
    for ended, name in enumerate("cba", 1):
        assert len(scene.cell.records) == ended  # what has not ended yet is not among them
        released[name].set()
        await tasks["abc".index(name)]
    assert [(each.operation, each.status) for each in scene.cell.records] == [
        *[("store:files_get", "ok")] * 3,
        ("store:files_touch", "invalid"),
    ]


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        ("store:files_gte", "store:files_gte"),
        ("s:" + "x" * 64, "s:" + "x" * 64),
        ("s:" + "x" * 65, ""),
        ("store:files_get\n", ""),
        ("store:Files", ""),
        ("files_gte", ""),
        (["store:files_get"], ""),
        (None, ""),
    ],
)
async def test_an_unknown_operation_is_listed_as_asked_and_the_journal_keeps_no_name(scene, asked, listed):
    await scene.ask(Kind.CALL, {"operation": asked, "arguments": {}})
    assert [(each.operation, each.status) for each in scene.cell.records] == [(listed, "not_found")]
    assert [event.operation for event in scene.events] == ["<unknown>"]


async def test_a_missing_scope_is_denied_and_named(scene):
    refused = await scene.refused("vault_open")
    assert refused["code"] == "denied" and "`vault.open`" in refused["message"]
    assert (scene.events[0].rule, scene.events[0].decision) == ("scope", "deny")
    assert (scene.cell.calls, scene.account.calls, scene.server.seen) == (0, 0, [])


async def test_a_token_that_expires_in_the_middle_of_a_cell_ends_its_calls(scene):
    scene.answers({})
    await scene.call("files_get", id="x")
    scene.now = 2000.0
    refused = await scene.refused("files_get", id="x")
    assert refused["code"] == "denied" and "expired" in refused["message"]
    assert len(scene.server.seen) == 1 and scene.events[-1].rule == "expired"


async def test_the_cell_cap_holds_and_the_next_cell_goes_on(scene_with):
    scene = await scene_with({"max_calls_per_cell": 2})
    scene.answers({})
    for _ in range(2):
        await scene.call("files_get", id="x")
    refused = await scene.refused("files_get", id="x")
    assert refused["code"] == "limited" and scene.events[-1].rule == "calls_per_cell"
    assert (scene.cell.calls, scene.account.calls) == (2, 2)
    scene.next_cell()
    await scene.call("files_get", id="x")


async def test_the_session_cap_holds_across_cells(scene_with):
    scene = await scene_with({"max_calls_per_session": 2})
    scene.answers({})
    for _ in range(2):
        await scene.call("files_get", id="x")
        scene.next_cell()
    assert (await scene.refused("files_get", id="x"))["code"] == "limited"
    assert scene.events[-1].rule == "calls_per_session" and len(scene.server.seen) == 2


async def test_the_caps_hold_for_calls_at_once(scene_with):
    scene = await scene_with({"max_calls_per_cell": 5})
    scene.answers({})
    head = {"operation": "store:files_get", "arguments": {"id": "x"}}
    replies = await asyncio.gather(*(scene.ask(Kind.CALL, head) for _ in range(12)))
    assert sum(reply.kind is Kind.RESULT for reply in replies) == len(scene.server.seen) == 5


async def test_requests_of_any_kind_end_at_their_cap_and_then_leave_no_events(scene_with):
    scene = await scene_with({"max_requests_per_cell": 3})
    codes = [(await scene.refused("nothing"))["code"] for _ in range(5)]
    assert codes == ["not_found"] * 3 + ["limited"] * 2 and len(scene.events) == 3


async def test_more_at_once_than_the_limit_is_busy(scene_with):
    scene = await scene_with({"max_concurrent_calls": 1})
    released = asyncio.Event()

    async def hold(handler):
        await released.wait()
        handler.write({})

    scene.server.respond = hold
    first = asyncio.create_task(scene.call("files_get", id="x"))
    while not scene.server.seen:
        await asyncio.sleep(0)
    assert (await scene.refused("files_get", id="x"))["code"] == "busy"
    released.set()
    await first
    assert scene.account.flight.messages == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "`content_type` is required"),
        ({"content_type": "image/png", "size_bytes": "secret"}, "`size_bytes`: the value is not of type"),
        ({"content_type": "image/png", "size_bytes": 0}, "`size_bytes`: the value is less than the minimum of 1"),
        ({"content_type": "secret", "size_bytes": 1}, 'must be one of "image/png", "image/jpeg"'),
        ({"content_type": "image/png", "size_bytes": 1, "sizebytes": 1}, "takes `content_type`, `size_bytes`"),
        (
            {
                "content_type": "image/png",
                "size_bytes": 1,
                "steps": [{"op": "strip"}, {"op": "resize", "width": "secret"}],
            },
            "`steps/1/width`: the value is not of type",
        ),
        (
            {"content_type": "image/png", "size_bytes": 1, "steps": [{"op": "resize"}]},
            "`steps/0`: `width` is required",
        ),
        (
            {"content_type": "image/png", "size_bytes": 1, "steps": [{"op": "strip", "height": "secret", "depth": 2}]},
            "`steps/0`: `height`, `depth` are unexpected; takes `op`",
        ),
        (
            {"content_type": "image/png", "size_bytes": 1, "steps": [{"op": "resize", "width": 1, "fit": "secret"}]},
            '`steps/0/fit`: the value must be one of "contain", "cover", "fill", "inside"',
        ),
        (
            {"content_type": "image/png", "size_bytes": 1, "steps": [{"op": "fly"}]},
            "`steps/0/op`: the value must be one of",
        ),
        ({"content_type": "image/png", "size_bytes": float("nan")}, "not plain JSON"),
        ({"content_type": "\ud800", "size_bytes": 1}, "not plain JSON"),
    ],
)
async def test_a_wrong_argument_is_named_with_what_is_wrong_and_without_its_value(scene, arguments, told):
    refused = await scene.refused("files_create", **arguments)
    assert refused["code"] == "invalid" and told in refused["message"]
    assert "secret" not in refused["message"] and scene.server.seen == []


@pytest.mark.parametrize("name", ["sizebytes", "x" * 5000, "a`b\n\x1b[31m", "\u202egnp"])
async def test_an_unknown_keyword_is_named_with_all_that_the_operation_takes(scene, name):
    refused = await scene.refused("files_create", content_type="image/png", size_bytes=1, **{name: 1})
    message = refused["message"]
    assert "is unexpected; takes `content_type`, `size_bytes`, `steps`, `idempotency_key`" in message
    assert ("`sizebytes` is unexpected" in message) == (name == "sizebytes")
    assert message.isprintable() and len(message) < 400


async def test_many_unknown_keywords_leave_room_for_the_known_ones(scene):
    refused = await scene.refused("files_get", id="x", **{f"{'k' * 60}{number}": 1 for number in range(100)})
    assert "and 97 more are unexpected; takes `id`" in refused["message"]
    assert (await scene.refused("files_get", id="x", wait=1))["message"].endswith("`wait` is unexpected; takes `id`")


async def test_all_of_a_long_choice_is_listed_up_to_the_bound(scene):
    told = (await scene.refused("files_touch", id=1, mode="z"))["message"]
    assert told.startswith(
        '`store:files_touch`: `mode`: the value must be one of "choice-00", "choice-01", "choice-02"'
    )
    assert told.endswith("...") and len(told) == len("`store:files_touch`: ") + MAX_WORDS + len("...")


@pytest.mark.parametrize("arguments", [None, [], "x", 5])
async def test_arguments_are_an_object(scene, arguments):
    reply = await scene.ask(Kind.CALL, {"operation": "store:files_get", "arguments": arguments})
    assert reply.head["code"] == "invalid"


async def test_hopelessly_nested_arguments_are_invalid(scene):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert (await scene.refused("files_touch", id=deep))["code"] == "invalid"
    while deep:  # a chain this long cannot be freed recursively
        deep = deep.pop()


async def test_the_callers_key_is_sent_hidden_and_stays_the_same(scene):
    scene.answers({}, Idempotency_Replayed="true")
    for session in ("s1", "s2"):
        cell = Cell(scene.cell.principal, session, 1, "cell-1")
        await scene.call("files_delete", cell, ids=["a"], idempotency_key="mine")
    keys = [request.headers["Idempotency-Key"] for request in scene.server.seen]
    assert keys[0] == keys[1] and len(keys[0]) == 64 and "mine" not in keys[0]
    assert json.loads(scene.server.seen[0].body) == {"ids": ["a"]}
    assert scene.events[0].replayed and cell.records[0].replayed


@pytest.mark.parametrize(
    "other", [{"organisation": "globex"}, {"subject": "bob"}, {"client": "other"}, {"issuer": "https://x.test"}]
)
async def test_the_same_key_of_another_caller_is_another_key(scene, other):
    scene.answers({})
    await scene.call("files_delete", ids=[], idempotency_key="k")
    scene.next_cell(**other)
    await scene.call("files_delete", ids=[], idempotency_key="k")
    keys = {request.headers["Idempotency-Key"] for request in scene.server.seen}
    assert len(keys) == 2


async def test_a_required_key_is_required(scene):
    assert "idempotency_key" in (await scene.refused("files_delete", ids=[]))["message"]


async def test_an_optional_key_is_made_up_anew_for_every_call(scene):
    scene.answers({"upload_url": "https://files.test/u"}, 201)
    for _ in range(2):
        await scene.call("files_create", content_type="image/png", size_bytes=1)
    keys = {request.headers["Idempotency-Key"] for request in scene.server.seen}
    assert len(keys) == 2


async def test_an_operation_without_keys_gets_none(scene):
    scene.answers({})
    await scene.call("files_touch", id=1)
    assert "Idempotency-Key" not in scene.server.seen[0].headers


class Breaking:
    """The scene's real upstream, whose first connections break."""

    def __init__(self, inner, errors):
        self._inner, self.errors, self.keys = inner, list(errors), []
        self.name, self.host, self.storage = inner.name, inner.host, inner.storage

    async def call(self, operation, arguments, *, idempotency_key, **options):
        self.keys.append(idempotency_key)
        if self.errors:
            raise self.errors.pop(0)
        return await self._inner.call(operation, arguments, idempotency_key=idempotency_key, **options)


BROKEN = UpstreamError("upstream_unavailable", "the connection broke")
ANSWERED = UpstreamError("upstream_unavailable", "answered 503", http_status=503)
LATE = UpstreamError("deadline", "took too long")
CALLS = {
    "files_get": {"id": "x"},
    "files_touch": {"id": "x"},
    "files_delete": {"ids": [], "idempotency_key": "k"},
    "files_create": {"content_type": "image/png", "size_bytes": 1},
}


@pytest.mark.parametrize(
    ("name", "errors", "attempts", "code"),
    [
        ("files_get", [BROKEN], 2, None),
        ("files_delete", [BROKEN], 2, None),
        ("files_create", [BROKEN], 2, None),
        ("files_get", [BROKEN, BROKEN], 2, "upstream_unavailable"),
        ("files_touch", [BROKEN], 1, "outcome_unknown"),
        ("files_get", [ANSWERED], 1, "upstream_unavailable"),
        ("files_get", [LATE], 1, "deadline"),
    ],
)
async def test_a_broken_connection_is_tried_once_more_where_that_cannot_act_twice(scene, name, errors, attempts, code):
    def respond(handler):
        handler.set_status(201 if name == "files_create" else 200)
        handler.write({"upload_url": "https://files.test/u"})

    scene.server.respond = respond
    breaking = Breaking(scene.upstream, errors)
    scene.broker._services.upstreams["store"] = breaking
    if code is None:
        await scene.call(name, **CALLS[name])
    else:
        assert (await scene.refused(name, **CALLS[name]))["code"] == code
    assert len(breaking.keys) == attempts and len(set(breaking.keys)) == 1
    assert (scene.cell.calls, len(scene.events)) == (1, 1)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (404, {"title": "no such file"}, "not_found"),
        (429, {"title": "slow down"}, "limited"),
        (503, {"title": "later"}, "upstream_unavailable"),
        (500, {}, "upstream"),
        (200, {"name": 7}, "upstream_invalid"),
        (200, "nonsense", "upstream_invalid"),
        (202, {}, "upstream_invalid"),
    ],
)
async def test_an_upstream_that_refuses_or_lies_has_a_code_each(scene, status, body, code):
    scene.answers(body, status)
    refused = await scene.refused("files_get", id="x")
    assert refused["code"] == code == scene.events[0].status == scene.cell.records[0].status
    assert (scene.events[0].decision, scene.events[0].http_status) == ("allow", status)
    assert ("retry_after" in refused) == (code == "limited")


async def test_what_an_upstream_says_in_a_refusal_holds_no_link(scene):
    link = f"{scene.server.url}/f?X-Amz-Signature=0123456789abcdef0123456789abcdef"
    foreign = "https://b.s3.amazonaws.com/f?X-Amz-Credential=x&X-Amz-Signature=" + "0" * 64
    scene.answers({"title": "gone", "detail": f"see {link} or {foreign}"}, 404)
    message = (await scene.refused("files_get", id="x"))["message"]
    assert "gone" in message and "Signature=0" not in message and "0123456789abcdef" not in message


async def test_a_lie_about_the_schema_names_the_place_and_not_the_value(scene):
    scene.answers({"results": [{"size_bytes": "secret"}]})
    message = (await scene.refused("files_get", id="x"))["message"]
    assert "size_bytes/type" in message and "secret" not in message


async def test_an_operation_whose_server_is_not_connected_is_unavailable(scene):
    scene.broker._services.upstreams.clear()
    assert (await scene.refused("files_get", id="x"))["code"] == "upstream_unavailable"


async def test_a_slow_upstream_meets_the_deadline(scene_with):
    scene = await scene_with({"call_timeout_seconds": 0.05})
    released = asyncio.Event()
    scene.server.respond = lambda handler: released.wait()
    assert (await scene.refused("files_get", id="x"))["code"] == "deadline"
    released.set()


async def test_a_crash_stays_on_the_host(scene, caplog):
    class Crashing(Breaking):
        async def call(self, *_, **__):
            raise RuntimeError(" ".join(["a", "host", "path"]))

    scene.broker._services.upstreams["store"] = Crashing(scene.upstream, ())
    with caplog.at_level(logging.ERROR):
        refused = await scene.refused("files_get", id="the-value")
    assert refused["code"] == "internal" and "host path" not in refused["message"]
    event_id = refused["message"].split("`")[1]
    (record,) = caplog.records
    assert event_id in record.getMessage() and "RuntimeError" in record.getMessage()
    assert "a host path" not in record.getMessage() and "the-value" not in record.getMessage()
    assert scene.events[0].status == "internal" and scene.account.flight.messages == 0


async def test_a_journal_that_cannot_be_written_lets_no_answer_through(scene):
    scene.answers({"name": "cat"})

    def broken(event):
        raise OSError

    scene.record = broken
    assert (await scene.refused("files_get", id="x"))["code"] == "internal"


async def test_a_cancelled_call_is_written_down_and_frees_its_place(scene):
    released = asyncio.Event()
    scene.server.respond = lambda handler: released.wait()
    task = asyncio.create_task(scene.call("files_get", id="x"))
    while not scene.server.seen:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    released.set()
    assert scene.events[0].status == "canceled" and scene.account.flight.messages == 0


async def test_a_change_that_was_sent_is_heard_to_its_end_however_often_its_call_is_cancelled(scene):
    released = asyncio.Event()

    async def created(handler):
        await released.wait()
        handler.set_status(201)
        handler.write({"upload_url": f"{scene.server.url}/o"})

    scene.server.respond = created
    task = asyncio.create_task(scene.call("files_create", content_type="image/png", size_bytes=1))
    await until(lambda: scene.server.seen)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done() and scene.events == []
    released.set()
    assert "$blob" in (await task)["upload_url"]
    assert [(event.operation, event.status) for event in scene.events] == [("store:files_create", "ok")]
    assert [record.status for record in scene.cell.records] == ["ok"]


async def test_a_change_that_fails_while_its_call_is_cancelled_is_written_down_as_it_failed(scene):
    released = asyncio.Event()

    async def failed(handler):
        await released.wait()
        handler.set_status(409)

    scene.server.respond = failed
    task = asyncio.create_task(scene.refused("files_create", content_type="image/png", size_bytes=1))
    await until(lambda: scene.server.seen)
    task.cancel()
    released.set()
    assert (await task)["code"] == "conflict"
    assert [event.status for event in scene.events] == ["conflict"]


@pytest.mark.parametrize("kind", [Kind.READY, Kind.CLAIM, Kind.RESULT])
async def test_other_kinds_are_no_requests(scene, kind):
    assert (await scene.ask(kind, {})).head["code"] == "invalid"


@pytest.mark.parametrize(("extra", "code"), [(-40, None), (100, "too_large")])
async def test_an_answer_must_fit_into_one_message(scene_with, extra, code):
    scene = await scene_with({"max_answer_bytes": 4 << 20}, {"max_answer_bytes": 4 << 20})
    scene.answers({"name": "x" * ((1 << 20) - 1024 + extra)})
    if code is None:
        await scene.call("files_get", id="x")
    else:
        assert (await scene.refused("files_get", id="x"))["code"] == code


@pytest.mark.parametrize(("extra", "accepted"), [(0, True), (1, False)])
async def test_an_answer_may_fill_the_cap_but_not_pass_it_whatever_the_upstream_is_allowed(scene_with, extra, accepted):
    scene = await scene_with({"max_answer_bytes": 2000}, {"max_answer_bytes": 4000})
    scene.answers({"name": "x" * (2000 - len('{"name": ""}') + extra)})
    if accepted:
        await scene.call("files_get", id="x")
    else:
        refused = await scene.refused("files_get", id="x")
        assert refused["code"] == "upstream_invalid" and "2000 bytes" in refused["message"]
    assert (scene.events[0].answer_bytes, scene.events[0].http_status) == (2000 + extra, 200)


async def test_search_finds_what_the_caller_may_use(scene):
    reply = await scene.ask(Kind.SEARCH, {"query": "files of the store", "limit": 10, "threshold": 0.0})
    names = {hit["name"] for hit in reply.head["value"]}
    assert "store:files_get" in names and "store:vault_open" not in names
    hit = reply.head["value"][0]
    assert set(hit) == {"name", "description", "input_schema", "score"} and hit["input_schema"]["type"] == "object"
    assert (scene.events[0].kind, scene.events[0].hits) == ("searched", len(names))
    strict = await scene.ask(Kind.SEARCH, {"query": "files of the store", "limit": 10, "threshold": 1.1})
    assert strict.head["value"] == []


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"query": ""},
        {"query": "x" * 501},
        {"query": 1},
        {"query": "x", "limit": 0},
        {"query": "x", "limit": 51},
        {"query": "x", "limit": True},
        {"query": "x", "threshold": "x"},
    ],
)
async def test_a_search_out_of_bounds_is_invalid(scene, head):
    assert (await scene.ask(Kind.SEARCH, head)).head["code"] == "invalid"


async def test_a_search_needs_its_scope(scene):
    scene.next_cell(scopes=frozenset({"files.read"}))
    assert (await scene.ask(Kind.SEARCH, {"query": "files"})).head["code"] == "denied"


def test_the_broker_shows_no_secret(scene):
    assert "ssss" not in repr(scene.broker) + repr(scene.broker._services)
    assert (
        isinstance(scene.cell, Cell)
        and isinstance(scene.account, Account)
        and isinstance(scene.cell.principal, Principal)
    )
    assert replace(scene.cell.principal) == scene.cell.principal and next(itertools.count(1)) == 1
