"""The inner door counts before anything is sent: what is over a limit never reaches the upstream."""

import pytest
from sqlalchemy import text

from kernel_ext.wire import Kind
from kernel_gateway.broker import Account
from kernel_gateway.limits.usage import NOTHING, Usage
from tests.broker.test_broker_transfers import put_requests, readable, stored, writable


async def answering(scene_with, **limits):
    scene = await scene_with(limits)
    scene.answers({}, 200)
    return scene


async def test_a_call_over_its_rate_is_never_sent_and_says_when_there_is_room(scene_with):
    scene = await answering(scene_with, rates={"operation": ["2/minute per token"]})
    await scene.call("files_delete", idempotency_key="a")
    scene.now += 20
    await scene.call("files_delete", idempotency_key="b")
    refusal = await scene.refused("files_delete", idempotency_key="c")
    assert (refusal["code"], refusal["retry_after"], len(scene.server.seen)) == ("limited", 40, 2)
    event = scene.events[-1]
    assert (event.decision, event.rule, event.status) == ("deny", "operation-per-token", "limited")
    assert [record.status for record in scene.cell.records] == ["ok", "ok", "limited"]
    assert scene.cell.tally.used.calls == scene.account.tally.used.calls == 2
    await scene.call("files_touch", id="x")  # another operation has room
    scene.now += 40
    await scene.call("files_delete", idempotency_key="c")


async def test_a_search_from_a_cell_has_its_rate(scene_with):
    scene = await answering(scene_with, rates={"search": ["1/minute per token"]})
    assert (await scene.ask(Kind.SEARCH, {"query": "touch"})).kind is Kind.RESULT
    refusal = await scene.ask(Kind.SEARCH, {"query": "touch"})
    assert (refusal.head["code"], refusal.head["retry_after"]) == ("limited", 60)


@pytest.mark.parametrize("level", ["execution", "session", "tree"])
async def test_writes_end_at_their_budget_and_reads_go_on(scene_with, level):
    scene = await answering(scene_with, budgets={level: {"writes": 2}})
    await scene.call("files_touch", id="x")
    await scene.call("files_delete", idempotency_key="a")
    refusal = await scene.refused("files_touch", id="x")
    assert (refusal["code"], len(scene.server.seen)) == ("limited", 2) and "2 of its 2 writes" in refusal["message"]
    assert scene.events[-1].rule.startswith("writes-per-")
    await scene.call("files_get", id="x")
    scene.next_cell()
    reply = await scene.ask(Kind.CALL, {"operation": "store:files_touch", "arguments": {"id": "x"}})
    assert reply.kind is (Kind.RESULT if level == "execution" else Kind.ERROR)


async def test_calls_of_forks_share_the_trees_budget(scene_with):
    scene = await answering(scene_with, budgets={"tree": {"calls": 2}})
    await scene.call("files_get", id="x")
    fork = Account("s2", "acme", tree=scene.account.tree)
    asked = {"operation": "store:files_get", "arguments": {"id": "x"}}
    assert (await scene.ask(Kind.CALL, asked, account=fork)).kind is Kind.RESULT
    assert (await scene.refused("files_get", id="x"))["code"] == "limited"
    stranger = Account("s3", "acme")
    assert (await scene.ask(Kind.CALL, asked, account=stranger)).kind is Kind.RESULT


@pytest.mark.parametrize(("room", "allowed"), [(1024 + 10, True), (1024 + 9, False)])
async def test_a_call_needs_room_for_its_longest_answer_and_uses_what_it_got(scene_with, room, allowed):
    scene = await answering(scene_with, max_answer_bytes=1024, budgets={"session": {"bytes": room}})
    asked = {"operation": "store:files_get", "arguments": {"id": "x"}}  # '{"id":"x"}' is 10 bytes
    assert (await scene.ask(Kind.CALL, asked)).kind is (Kind.RESULT if allowed else Kind.ERROR)
    assert scene.account.tally.used.bytes == (10 + len("{}") if allowed else 0)


async def test_a_call_that_reached_nobody_is_given_back(scene_with):
    scene = await answering(scene_with)
    scene.server.stop()
    assert (await scene.refused("files_touch", id="x"))["code"] == "upstream_unavailable"
    assert {scene.cell.tally.used, scene.account.tally.used, scene.account.tree.used} == {NOTHING}


async def test_a_call_that_may_have_been_done_counts_in_full(scene_with):
    scene = await answering(scene_with, max_answer_bytes=1024)
    scene.answers({}, 503)
    await scene.refused("files_touch", id="x")
    assert scene.account.tally.used == Usage(calls=1, writes=1, bytes=1024 + len('{"id":"x"}'))


@pytest.mark.parametrize(("room", "allowed"), [(6, True), (5, False)])
async def test_a_blob_is_read_where_there_is_room_for_it(scene_with, room, allowed):
    files = stored(await scene_with({"max_answer_bytes": 1024}))
    handle = await readable(files)
    files.cell.tally.used = files.cell.tally.used._replace(bytes=(512 << 20) - room)
    reply = await files.ask(Kind.READ, {"handle": handle})
    assert reply.kind is (Kind.RESULT if allowed else Kind.ERROR)
    assert allowed or (reply.head["code"], files.events[-1].status) == ("limited", "limited")


async def test_a_blob_that_is_over_its_budget_is_not_sent_and_its_handle_stays_good(scene_with):
    files = stored(await scene_with({"max_answer_bytes": 1024}))
    handle = await writable(files, 4)
    used = files.cell.tally.used
    files.cell.tally.used = used._replace(bytes=(512 << 20) - 3)
    refusal = await files.ask(Kind.WRITE, {"handle": handle}, b"abcd")
    assert (refusal.head["code"], put_requests(files)) == ("limited", [])
    files.cell.tally.used = used._replace(bytes=(512 << 20) - 4)
    assert (await files.ask(Kind.WRITE, {"handle": handle}, b"abcd")).kind is Kind.RESULT
    assert files.cell.tally.used.bytes == 512 << 20


async def test_a_blob_of_unknown_size_counts_as_long_as_it_is(scene_with):
    files = stored(await scene_with())
    files.facts = {}
    before = (await readable(files), files.cell.tally.used.bytes)
    assert (await files.ask(Kind.READ, {"handle": before[0]})).kind is Kind.RESULT
    assert files.cell.tally.used.bytes == before[1] + 6


async def test_quotas_of_the_day_hold_across_sessions(scene_with):
    scene = await answering(scene_with, quotas={"principal": {"writes": 1}})
    await scene.call("files_touch", id="x")
    asked = {"operation": "store:files_touch", "arguments": {"id": "x"}}
    reply = await scene.ask(Kind.CALL, asked, cell=scene.next_cell(), account=Account("s2", "acme"))
    assert (reply.head["code"], reply.head["retry_after"]) == ("limited", 86_400 - 1000)
    assert len(scene.server.seen) == 1


async def test_where_the_quotas_cannot_be_counted_nothing_is_sent(scene_with):
    scene = await answering(scene_with, quotas={"principal": {"calls": 1000}})
    await scene.call("files_get", id="x")
    await scene.database.run(lambda connection: connection.execute(text("DROP TABLE quotas")))
    refusal = await scene.refused("files_delete", idempotency_key="a")  # the first write of the day
    assert (refusal["code"], len(scene.server.seen)) == ("disabled", 1)
    assert (scene.events[-1].decision, scene.events[-1].rule) == ("deny", "limits")
    await scene.database.run(
        lambda connection: connection.execute(
            text("CREATE TABLE quotas (subject, day, calls, writes, bytes, milliseconds)")
        )
    )
