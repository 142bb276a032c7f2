"""The outer door over real kernels and the real reference world."""

import asyncio
import sqlite3
import time
from dataclasses import replace

import pytest

from kernel_gateway.audit.events import Refused
from kernel_gateway.audit.journal import Journal
from kernel_gateway.audit.seal import Seal
from kernel_gateway.errors import GatewayError
from kernel_gateway.sessions.result import ExecuteRequest
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from tests.conftest import until

IMAGE_SCOPES = "image.upload image.jobs.write image.jobs.read image.cleanup image.quota.read"


@pytest.fixture
async def make(gateway_settings, world_and_app):
    async def app(**sections):
        _, made = await world_and_app(gateway_settings(**sections))
        return made

    return app


def cell(code, session_id="", **more):
    return ExecuteRequest(code, session_id, **more)


async def test_a_session_keeps_its_variables_and_counts_its_cells(make):
    app = await make()
    me = app.stdio_principal()
    first = await app.gateway.execute(me, cell("x = 1"))
    second = await app.gateway.execute(me, cell("1/0", first.session_id))
    third = await app.gateway.execute(me, cell("x", first.session_id))
    assert [r.execution_count for r in (first, second, third)] == [1, 2, 3]
    assert [r.status for r in (first, second, third)] == ["ok", "error", "ok"]
    assert third.result == "1"


@pytest.mark.parametrize("other", ["subject", "organisation", "client", "issuer"])
async def test_anothers_session_is_not_found_whatever_part_of_the_identity_differs(make, other):
    app = await make()
    me = app.stdio_principal()
    mine = await app.gateway.execute(me, cell("1"))
    somebody = replace(me, **{other: "somebody-else"})
    for attempt in (
        app.gateway.execute(somebody, cell("1", mine.session_id)),
        app.gateway.session(somebody, mine.session_id),
        app.gateway.transcript(somebody, mine.session_id),
        app.gateway.interrupt(somebody, mine.session_id),
        app.gateway.close_session(somebody, mine.session_id),
    ):
        with pytest.raises(GatewayError) as caught:
            await attempt
        assert caught.value.code == "not_found"
    assert await app.gateway.sessions(somebody) == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (cell("   "), "invalid"),
        (cell("x" * (64 * 1024 + 1)), "invalid"),
        (cell("'\ud800'"), "invalid"),
        (cell("1", timeout_seconds=0), "invalid"),
        (cell("1", timeout_seconds=601), "invalid"),
        (cell("1", timeout_seconds=float("nan")), "invalid"),
        (cell("1", "ses_unknown"), "not_found"),
    ],
)
async def test_bad_input_is_one_clear_line_and_starts_nothing(make, request_, code):
    app = await make()
    with pytest.raises(GatewayError) as caught:
        await app.gateway.execute(app.stdio_principal(), request_)
    assert caught.value.code == code
    assert "\n" not in caught.value.message
    assert await app.gateway.sessions(app.stdio_principal()) == []


async def test_the_largest_cell_is_accepted(make):
    app = await make()
    code = "len('" + "x" * (64 * 1024 - 7) + "')"
    assert len(code) == 64 * 1024
    assert (await app.gateway.execute(app.stdio_principal(), cell(code))).status == "ok"


@pytest.mark.parametrize(("scope", "action"), [("kernel.execute", "execute"), ("kernel.search", "search")])
async def test_without_the_scope_the_door_stays_shut(make, scope, action):
    app = await make()
    me = app.stdio_principal()
    without = replace(me, scopes=me.scopes - {scope})
    with pytest.raises(GatewayError) as caught:
        await (app.gateway.execute(without, cell("1")) if action == "execute" else app.gateway.search(without, "job"))
    assert (caught.value.code, scope in caught.value.message) == ("denied", True)


async def test_search_shows_only_what_the_caller_may_use(make):
    app = await make()
    me = app.stdio_principal()
    reader = replace(me, scopes=frozenset({"kernel.search", "image.jobs.read"}))
    everything = await app.gateway.search(me, "create an image job")
    readable = await app.gateway.search(reader, "create an image job")
    assert everything["hits"][0]["operation"] == "image_ops:jobs_create"
    assert {hit["operation"] for hit in readable["hits"]} == {"image_ops:jobs_get"}
    nothing = await app.gateway.search(replace(me, scopes=frozenset({"kernel.search"})), "create an image job")
    assert nothing["hits"] == []
    assert "token" in nothing["hint"]


async def test_the_client_in_the_kernel_holds_only_what_the_caller_may_use(make):
    app = await make()
    me = app.stdio_principal()
    reader = replace(me, scopes=frozenset({"kernel.execute", "image.jobs.read"}))
    result = await app.gateway.execute(reader, cell("dir(image_ops)"))
    assert result.result == "['jobs_get']"


async def test_a_later_token_of_the_same_caller_can_do_no_more_than_the_session_was_opened_with(make):
    app = await make()
    me = app.stdio_principal()
    narrow = replace(me, scopes=frozenset({"kernel.execute"}))
    opened = await app.gateway.execute(narrow, cell("1"))
    code = "try:\n  call_tool('image_ops:quota_get')\nexcept ToolError as error:\n  print(error.code)"
    result = await app.gateway.execute(me, cell(code, opened.session_id))
    assert result.stdout == "denied\n"


async def test_a_call_after_the_tokens_expiry_is_denied_in_the_middle_of_a_cell(make):
    app = await make()
    dying = replace(app.stdio_principal(), expires_at=time.time() + 1.5)
    code = (
        "import time\nprint(image_ops.quota_get().org)\n"
        "while True:\n  try:\n    image_ops.quota_get(); time.sleep(0.2)\n"
        "  except ToolError as error:\n    print(error.code); break"
    )
    result = await app.gateway.execute(dying, cell(code))
    assert result.stdout == "local\ndenied\n"


@pytest.mark.parametrize(("calls", "refused"), [(3, 0), (4, 1)])
async def test_calls_per_cell_are_capped(make, calls, refused):
    app = await make(limits={"max_calls_per_cell": 3})
    call = "('image_ops:quota_get', {})"
    code = f"sum(not r.success and r.error.code == 'limited' for r in call_tools([{call}] * {calls}))"
    assert (await app.gateway.execute(app.stdio_principal(), cell(code))).result == str(refused)


async def test_calls_per_session_are_capped_over_its_cells(make):
    app = await make(limits={"max_calls_per_session": 3})
    me = app.stdio_principal()
    code = "[r.success for r in call_tools([('image_ops:quota_get', {})] * 2)]"
    first = await app.gateway.execute(me, cell(code))
    second = await app.gateway.execute(me, cell(code, first.session_id))
    assert (first.result, second.result) == ("[True, True]", "[True, False]")


async def test_a_thread_that_outlives_its_cell_can_call_nothing(make):
    app = await make()
    me = app.stdio_principal()
    code = (
        "import threading, time\nseen = []\n"
        "def later():\n  ended.wait()\n  time.sleep(0.3)\n"
        "  try:\n    seen.append(image_ops.quota_get().org)\n"
        "  except ToolError as error:\n    seen.append(error.code)\n"
        "ended = threading.Event()\nthread = threading.Thread(target=later); thread.start()\nended.set()"
    )
    first = await app.gateway.execute(me, cell(code))
    session = app.gateway._places._open[first.session_id]
    await until(lambda: session.account.strays)
    second = await app.gateway.execute(me, cell("thread.join(); seen", first.session_id))
    assert second.result == "['denied']"
    assert first.calls == second.calls == ()


async def test_a_second_cell_waits_its_turn_and_then_runs(make):
    app = await make()
    me = app.stdio_principal()
    opened = await app.gateway.execute(me, cell("log = []"))
    slow = asyncio.create_task(
        app.gateway.execute(me, cell("import time; time.sleep(0.5); log.append(1)", opened.session_id))
    )
    await asyncio.sleep(0)
    quick = await app.gateway.execute(me, cell("log.append(2); log", opened.session_id))
    assert quick.result == "[1, 2]"
    assert (await slow).status == "ok"


async def test_a_cell_that_waited_too_long_is_busy(make):
    app = await make(sessions={"max_wait_seconds": 0.2})
    me = app.stdio_principal()
    opened = await app.gateway.execute(me, cell("import time"))
    slow = asyncio.create_task(app.gateway.execute(me, cell("time.sleep(1.5)", opened.session_id)))
    await asyncio.sleep(0)
    with pytest.raises(GatewayError) as caught:
        await app.gateway.execute(me, cell("1", opened.session_id))
    assert (caught.value.code, caught.value.retry_after) == ("busy", 5)
    await slow


async def test_no_more_cells_wait_than_may(make):
    app = await make(sessions={"max_waiting": 1})
    me = app.stdio_principal()
    opened = await app.gateway.execute(me, cell("import time"))
    tasks = [asyncio.create_task(app.gateway.execute(me, cell("time.sleep(0.5)", opened.session_id))) for _ in range(3)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [getattr(r, "status", getattr(r, "code", None)) for r in results] == ["ok", "ok", "busy"]


@pytest.mark.parametrize(("limit", "code"), [("max_sessions_per_principal", "limited"), ("max_sessions", "limited")])
async def test_sessions_are_capped(make, limit, code):
    app = await make(sessions={limit: 1})
    me = app.stdio_principal()
    first = await app.gateway.execute(me, cell("1"))
    with pytest.raises(GatewayError) as caught:
        await app.gateway.execute(me, cell("1"))
    assert caught.value.code == code
    assert 1700 < caught.value.retry_after <= 1800, "when the longest idle session gives up its place"
    await app.gateway.close_session(me, first.session_id)
    assert (await app.gateway.execute(me, cell("1"))).status == "ok"


async def test_an_idle_session_is_closed_and_its_transcript_can_still_be_read(make):
    app = await make(sessions={"idle_seconds": 0.1, "reap_interval_seconds": 0.05})
    me = app.stdio_principal()
    opened = await app.gateway.execute(me, cell("1"))
    while await app.gateway.sessions(me):
        await asyncio.sleep(0)
    with pytest.raises(GatewayError) as caught:
        await app.gateway.execute(me, cell("1", opened.session_id))
    assert caught.value.code == "not_found"
    kinds = [event["kind"] for event in await app.gateway.transcript(me, opened.session_id)]
    assert kinds[0] == "session_opened"
    assert kinds[-1] == "session_closed"


async def test_a_kernel_that_died_is_reported_and_the_next_cell_gets_a_new_one(make):
    app = await make()
    me = app.stdio_principal()
    first = await app.gateway.execute(me, cell("x = 1"))
    died = await app.gateway.execute(me, cell("import os; os._exit(5)", first.session_id))
    assert (died.status, died.code) == ("lost", "kernel_died")
    assert "status 5" in died.message
    assert "variables and files of cells 1 to 2" in died.lost[0]
    after = await app.gateway.execute(me, cell("'x' in dir()", first.session_id))
    assert (after.status, after.result, after.execution_count, after.lost) == ("ok", "False", 3, ())


async def test_a_kernel_that_died_between_cells_is_reported_with_the_next(make):
    app = await make()
    me = app.stdio_principal()
    code = "import threading, os, time\nthreading.Thread(target=lambda: (time.sleep(0.3), os._exit(9))).start()"
    first = await app.gateway.execute(me, cell(code))
    await until(app.gateway._places._open[first.session_id]._kernel.died.done)
    after = await app.gateway.execute(me, cell("1", first.session_id))
    assert after.status == "ok"
    assert "status 9" in after.lost[0]


async def test_a_retried_request_without_a_session_finds_the_first_run(make):
    app = await make()
    me = app.stdio_principal()
    first = await app.gateway.execute(me, cell("import os; n = 1", request_id="r1"))
    again = await app.gateway.execute(me, cell("import os; n = 1", request_id="r1"))
    assert again is first
    assert len(await app.gateway.sessions(me)) == 1
    with pytest.raises(GatewayError) as caught:
        await app.gateway.execute(me, cell("other", request_id="r1"))
    assert caught.value.code == "conflict"


async def test_a_detached_cell_is_joined_by_its_request_id_and_ran_once(make):
    app = await make()
    me = app.stdio_principal()
    opened = await app.gateway.execute(me, cell("runs = []"))
    request = cell("runs.append(1); import time; time.sleep(0.5); len(runs)", opened.session_id, request_id="r1")
    first = asyncio.create_task(app.gateway.execute(me, request, detach_on_cancel=True))
    await until(lambda: app.gateway._places._open[opened.session_id]._cell)
    first.cancel()
    joined = await app.gateway.execute(me, request)
    assert (joined.status, joined.result) == ("ok", "1")


async def test_a_cancelled_request_interrupts_its_cell_and_the_session_lives(make):
    app = await make()
    me = app.stdio_principal()
    opened = await app.gateway.execute(me, cell("kept = 1"))
    task = asyncio.create_task(app.gateway.execute(me, cell("import time; time.sleep(60)", opened.session_id)))
    await until(lambda: app.gateway._places._open[opened.session_id]._cell)
    task.cancel()
    after = await app.gateway.execute(me, cell("kept", opened.session_id))
    assert (after.result, after.execution_count) == ("1", 3)


async def test_a_cell_can_be_interrupted_from_outside(make):
    app = await make()
    me = app.stdio_principal()
    opened = await app.gateway.execute(me, cell("1"))
    assert await app.gateway.interrupt(me, opened.session_id) is False
    task = asyncio.create_task(app.gateway.execute(me, cell("import time; time.sleep(60)", opened.session_id)))
    while not await app.gateway.interrupt(me, opened.session_id):
        await asyncio.sleep(0)
    assert (await task).status == "interrupted"


async def test_it_is_not_ready_while_the_journal_cannot_be_written_and_gives_no_answer(make, tmp_path):
    app = await make(store={"folder": str(tmp_path / "state"), "busy_timeout_seconds": 0})
    me = app.stdio_principal()
    first = await app.gateway.execute(me, cell("1"))
    assert app.gateway.ready() == (True, [])
    other = sqlite3.connect(tmp_path / "state" / "data" / "gateway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(GatewayError, match="the journal cannot be written"):
        await app.gateway.execute(me, cell("2", first.session_id))
    assert app.gateway.ready() == (False, ["the journal cannot be written"])
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: app.gateway.ready()[0])
    assert [event["kind"] for event in await app.gateway.transcript(me, first.session_id)][-2:] == ["cell_ran"] * 2


async def test_it_starts_with_a_ledger_that_is_not_sound_and_says_so(make, tmp_path):
    folder = tmp_path / "state"
    database = Database(folder / "data" / "gateway.db")
    journal = Journal(database, time.time, Seal.of(Keys(folder)))
    for _ in range(2):
        journal.record(Refused())
        await journal.flush()
    await database.run(lambda connection: connection.exec_driver_sql("UPDATE events SET at = at + 1 WHERE seq = 2"))
    await database.close()
    app = await make(store={"folder": str(folder)})
    is_ready, (reason,) = app.gateway.ready()
    assert not is_ready
    assert reason.startswith("record 2 of the ledger: it was changed")
    assert (await app.gateway.execute(app.stdio_principal(), cell("1 + 1"))).result == "2"


async def test_a_cell_whose_answer_could_not_be_given_does_not_run_again_for_its_request_id(make, tmp_path):
    app = await make(store={"folder": str(tmp_path / "state"), "busy_timeout_seconds": 0})
    me = app.stdio_principal()
    first = await app.gateway.execute(me, cell("ran = 0"))
    other = sqlite3.connect(tmp_path / "state" / "data" / "gateway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(GatewayError, match="the journal cannot be written"):
        await app.gateway.execute(me, cell("ran += 1", first.session_id, request_id="once"))
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: app.gateway.ready()[0])
    with pytest.raises(GatewayError, match="the journal cannot be written"):
        await app.gateway.execute(me, cell("ran += 1", first.session_id, request_id="once"))
    assert (await app.gateway.execute(me, cell("ran", first.session_id))).result == "1"


async def test_beside_a_journal_that_is_known_to_fail_no_cell_runs(make, tmp_path):
    app = await make(store={"folder": str(tmp_path / "state"), "busy_timeout_seconds": 0})
    me = app.stdio_principal()
    first = await app.gateway.execute(me, cell("ran = 0"))
    other = sqlite3.connect(tmp_path / "state" / "data" / "gateway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(3):  # the first of them finds out
        with pytest.raises(GatewayError, match="the journal cannot be written"):
            await app.gateway.execute(me, cell("ran += 1", first.session_id))
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: app.gateway.ready()[0])
    assert (await app.gateway.execute(me, cell("ran", first.session_id))).result == "1"


async def test_a_cell_whose_session_was_closed_meanwhile_does_not_run_again_for_its_request_id(make):
    app = await make()
    me = app.stdio_principal()
    asked = cell("import time\ntime.sleep(60)", request_id="once")
    task = asyncio.create_task(app.gateway.execute(me, asked))
    await until(lambda: any(session._cell for session in app.gateway._places._open.values()))
    (opened,) = app.gateway._places._open
    await app.gateway.close_session(me, opened)
    for attempt in (task, app.gateway.execute(me, asked)):
        with pytest.raises(GatewayError, match="the session was closed"):
            await attempt
    assert await app.gateway.sessions(me) == []


async def test_the_journal_holds_metadata_of_everything_and_no_content(make):
    app = await make()
    me = app.stdio_principal()
    code = "secret_of_mine = 'do-not-write-this'\nprint(image_ops.quota_get().org)\nraise ValueError('nor this')"
    result = await app.gateway.execute(me, cell(code))
    await app.gateway.search(me, "a private question")
    events = await app.gateway.transcript(me, result.session_id)
    assert [event["kind"] for event in events] == ["session_opened", "operation_called", "cell_ran"]
    assert events[2]["ename"] == "ValueError"
    assert events[2]["status"] == "error"
    assert events[2]["claimed"] is True
    assert len(events[2]["source_digest"]) == 64
    written = str(events)
    for content in ("do-not-write-this", "nor this", "secret_of_mine", "private question"):
        assert content not in written


async def test_a_kernel_that_does_not_start_leaves_no_session_behind(make):
    app = await make()
    me = app.stdio_principal()

    async def broken(organisation):
        raise GatewayError("sandbox", "no kernel today")

    app.gateway._places._services = replace(app.gateway._services, take_kernel=broken)
    with pytest.raises(GatewayError, match="no kernel today"):
        await app.gateway.execute(me, cell("1"))
    assert await app.gateway.sessions(me) == []


async def test_closing_a_session_under_its_cell_ends_the_cell_as_not_found(make):
    app = await make()
    me = app.stdio_principal()
    opened = await app.gateway.execute(me, cell("1"))
    task = asyncio.create_task(app.gateway.execute(me, cell("import time; time.sleep(60)", opened.session_id)))
    await until(lambda: app.gateway._places._open[opened.session_id]._cell)
    await app.gateway.close_session(me, opened.session_id)
    with pytest.raises(GatewayError) as caught:
        await task
    assert caught.value.code == "not_found"
    assert "closed" in caught.value.message


async def test_what_a_cell_leaves_under_way_ends_with_it_and_is_written_down(make):
    app = await make()
    me = app.stdio_principal()
    code = (
        "import threading\n"
        "started = threading.Barrier(5)\n"
        "def go():\n  started.wait()\n  try: call_tool('image_ops:quota_get')\n  except ToolError: pass\n"
        "for _ in range(4): threading.Thread(target=go).start()\n"
        "started.wait()"
    )
    result = await app.gateway.execute(me, cell(code))
    events = await app.gateway.transcript(me, result.session_id)
    after = [event["kind"] for event in events]
    ran = after.index("cell_ran")
    under_way = [each for each in events[:ran] if each["kind"] == "operation_called" and each["status"] != "denied"]
    assert events[ran]["calls"] == len(result.calls) == len(under_way), "what came too late found no cell"
    assert {event["status"] for event in events[ran + 1 :]} <= {"denied"}, "what comes later finds no cell"


async def test_closing_a_session_while_its_kernel_starts_runs_nothing_and_leaves_no_kernel(make):
    app = await make()
    me = app.stdio_principal()
    started, go = asyncio.Event(), asyncio.Event()
    take_kernel, kernels = app.gateway._services.take_kernel, []

    async def slow(organisation):
        started.set()
        await go.wait()
        kernels.append(await take_kernel(organisation))
        return kernels[0]

    app.gateway._places._services = replace(app.gateway._services, take_kernel=slow)
    task = asyncio.create_task(app.gateway.execute(me, cell("ran = True")))
    await started.wait()
    (session,) = await app.gateway.sessions(me)
    await app.gateway.close_session(me, session["session_id"])
    go.set()
    with pytest.raises(GatewayError) as caught:
        await task
    assert caught.value.code == "not_found"
    assert kernels[0].gone.done()
    kinds = [event["kind"] for event in await app.gateway.transcript(me, session["session_id"])]
    assert kinds == ["session_opened", "session_closed"]


async def test_a_cell_that_was_cancelled_while_its_kernel_started_does_not_count(make):
    app = await make()
    me = app.stdio_principal()
    opened = await app.gateway.execute(me, cell("1"))
    session = app.gateway._places._open[opened.session_id]
    await session._kernel.stop()
    started, go = asyncio.Event(), asyncio.Event()
    take_kernel = session._services.take_kernel

    async def slow(organisation):
        started.set()
        await go.wait()
        return await take_kernel(organisation)

    session._services = replace(session._services, take_kernel=slow)
    task = asyncio.create_task(app.gateway.execute(me, cell("never = 1", opened.session_id)))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    after = await app.gateway.execute(me, cell("1/0", opened.session_id))
    assert after.execution_count == 2
    assert "Cell In[2]" in after.error.traceback
