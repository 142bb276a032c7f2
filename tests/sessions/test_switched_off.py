"""The kill switch over real kernels, judged by the process table: what is off starts nothing and leaves nothing."""

import asyncio
import os
from collections import Counter
from dataclasses import replace

import pytest

from kernel_gateway.app import running
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.admin import operator
from kernel_gateway.limits.switch_file import Part
from kernel_gateway.sessions.result import ExecuteRequest
from tests.bench.processes import Process, below, without_children
from tests.conftest import until
from tests.stubborn import ASKS, CHANGING, KINDS, PAUSED, WAITING, slow_upstream, stubborn

SCOPES = ["kernel.search", "kernel.execute", "kernel.read", "image.jobs.write", "image.jobs.read", "image.quota.read"]
SCOPES += ["image.upload"]
CELLS = 50
PATIENT = {"interrupt_grace_seconds": 30.0}  # leaves the end of a kernel to the switch
OPERATOR = operator(os.geteuid(), os.geteuid(), float("inf"))


@pytest.fixture
async def upstream(hold):
    return await hold(slow_upstream())


@pytest.fixture
async def make(gateway_settings, upstream, hold, tmp_path):
    (tmp_path / "asks.cedar").write_text(ASKS)

    async def app(**sections):
        settings = gateway_settings(
            policy={"auto_approve_risk": "critical", "files": [str(tmp_path / "asks.cedar")]},
            upstreams={"image_ops": upstream.settings},
            auth={"stdio": {"scopes": SCOPES}},
            sessions={"max_kernels_per_principal": CELLS},
            **sections,
        )
        return await hold(running(settings))

    return app


@pytest.fixture
async def app(make):
    return await make()


async def off(app, part=Part.ALL, name="", reason="a drill"):
    return await app.operators.set_switch(OPERATOR, part, name, off=True, reason=reason)


async def on(app, part=Part.ALL, name=""):
    return await app.operators.set_switch(OPERATOR, part, name, off=False)


def begin(app, code, session_id="", principal=None, **more):
    request = ExecuteRequest(code, session_id, 600.0, **more)
    return asyncio.create_task(app.gateway.execute(principal or app.stdio_principal(), request))


def kernels():
    """The kernels of this process's gateways, by the process table: what has no children below it."""
    return [each for each in without_children(below(os.getpid())) if not each.is_zombie]


def is_there(process):
    now = Process.read(process.pid)
    return now is not None and now.parent == process.parent


async def test_fifty_cells_of_every_stubborn_kind_are_gone_from_the_process_table(app, upstream):
    cells = stubborn(CELLS)
    tasks = [begin(app, code) for _, code in cells]
    waiting = sum(kind in WAITING for kind, _ in cells)
    paused = sum(kind == PAUSED for kind, _ in cells)
    await until(lambda: upstream.begun == CELLS and upstream.waiting == waiting and len(app.gateway._queue) == paused)
    busy = kernels()
    assert len(busy) == CELLS
    switching = asyncio.create_task(off(app))
    await until(lambda: not any(map(is_there, busy)))
    upstream.released.set()
    results = await asyncio.gather(*tasks)
    await switching
    assert Counter(result.status for result in results) == {"disabled": CELLS - paused, "paused": paused}
    assert (len(app.gateway._queue), upstream.uploads) == (0, 0)
    for told in (result for result in results if result.status == "paused"):  # it was told so before the switch
        (ran,) = [event for event in await transcript(app, told) if event["kind"] == "cell_ran"]
        assert ran["status"] == "disabled"
    stopped = [result for result in results if result.status == "disabled"]
    assert {(result.code, bool(result.lost)) for result in stopped} == {("disabled", False)}
    assert {result.message for result in stopped} == {
        "this service is switched off: a drill; an operator must switch it on again"
    }


async def test_what_waits_for_an_answer_is_void_once_it_was_off_and_never_sent(make, upstream):
    app = await make(approvals={"join_seconds": 0.0})
    me = app.stdio_principal()
    paused = await app.gateway.execute(me, ExecuteRequest(KINDS[PAUSED], request_id="r"))
    assert paused.status == "paused"
    await off(app)
    await on(app)
    with pytest.raises(GatewayError) as caught:
        request = ExecuteRequest(KINDS[PAUSED], paused.session_id, request_id="r", approval_token=paused.approval.token)
        while True:  # the cell of this request has ended, and that is its answer
            result = await app.gateway.execute(me, request)
            assert (result.status, result.code) == ("disabled", "disabled")
            request = replace(request, request_id="another")
    assert caught.value.code.startswith("approval_")
    ended = [event["outcome"] for event in await transcript(app, paused) if event["kind"] == "approval_ended"]
    assert (ended, upstream.uploads) == (["void"], 0)


async def test_a_token_from_before_it_was_off_is_good_for_nothing(app):
    me = app.stdio_principal()
    valid = await app.gateway.execute(me, ExecuteRequest("1", validate_only=True))
    await off(app, Part.ROLE, "ops")
    await on(app, Part.ROLE, "ops")
    with pytest.raises(GatewayError) as caught:
        await app.gateway.execute(me, ExecuteRequest("1", valid.session_id, approval_token=valid.approval.token))
    assert caught.value.code == "approval_policy"


async def test_a_change_in_flight_finishes_and_is_journaled_though_its_kernel_is_gone(app, upstream):
    task = begin(app, KINDS[CHANGING])
    await until(lambda: upstream.waiting)
    await off(app)
    assert kernels_of_sessions(app) == []
    assert not task.done()
    upstream.released.set()
    result = await task
    assert (result.status, upstream.created) == ("disabled", 1)
    assert [(call.operation, call.status) for call in result.calls] == [("image_ops:jobs_create", "ok")]
    events = await app.gateway.transcript(app.stdio_principal(), result.session_id)
    told = [(event["kind"], event.get("status")) for event in events]
    assert told == [("session_opened", None), ("operation_called", "ok"), ("cell_ran", "disabled")]


def kernels_of_sessions(app):
    return [session for session in app.gateway.live() if session.seat.kernel and not session.seat.kernel.gone.done()]


async def test_a_service_that_stops_hears_a_change_in_flight_to_its_end(gateway_settings, upstream, hold):
    settings = gateway_settings(upstreams={"image_ops": upstream.settings}, auth={"stdio": {"scopes": SCOPES}})
    async with running(settings) as app:
        task = begin(app, KINDS[CHANGING])
        await until(lambda: upstream.waiting)
        (session,) = app.gateway.live()
        closing = asyncio.create_task(app.gateway.close())
        await until(lambda: session.seat._cell is None)
        upstream.released.set()
        await asyncio.gather(task, closing, return_exceptions=True)
        events = await app._journal.transcript(session.id)
    assert upstream.created == 1
    assert [event["status"] for event in events if event["kind"] == "operation_called"] == ["ok"]


async def test_a_question_in_flight_ends_with_its_cell(app, upstream):
    task = begin(app, KINDS["a call in flight"])
    await until(lambda: upstream.waiting)
    await off(app)
    result = await task
    assert [(call.operation, call.status) for call in result.calls] == [("image_ops:jobs_get", "canceled")]


async def test_an_honest_cell_is_interrupted_and_what_it_printed_comes_back(make, upstream):
    app = await make(switch={"grace_seconds": 10.0})
    code = f"print('so far', flush=True)\nimage_ops.quota_get()\n{KINDS['sleep']}"
    task = begin(app, code)
    await until(lambda: upstream.begun)
    await off(app)
    result = await task
    assert (result.status, result.stdout) == ("disabled", "so far\n")


@pytest.mark.parametrize(("grace_seconds", "pause", "printed"), [(10.0, 0.1, "cleaned up\n"), (0.01, 3.0, "")])
async def test_an_honest_cell_has_the_grace_and_a_stubborn_one_no_more(make, upstream, grace_seconds, pause, printed):
    app = await make(switch={"grace_seconds": grace_seconds}, kernels=PATIENT)
    code = f"""
import signal, time
try:
    image_ops.quota_get()
    time.sleep(600)
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on a slow machine another one comes
    time.sleep({pause})
    print("cleaned up")"""
    task = begin(app, code)
    await until(lambda: upstream.begun)
    await off(app)
    assert (await task).stdout == printed


async def test_nothing_new_starts_and_the_reason_is_told(app):
    me = app.stdio_principal()
    await off(app, reason="someone took the keys")
    for refused in (app.gateway.execute(me, ExecuteRequest("1")), app.gateway.search(me, "a job")):
        with pytest.raises(GatewayError) as caught:
            await refused
        assert (caught.value.code, caught.value.meaning.http) == ("disabled", 503)
        assert "someone took the keys" in caught.value.message
    assert app.gateway.live() == []


async def test_idle_sessions_lose_their_kernels_and_their_owners_can_still_read(app):
    me = app.stdio_principal()
    first = await app.gateway.execute(me, ExecuteRequest("x = 1"))
    (kernel,) = kernels()
    await off(app)
    assert not is_there(kernel)
    assert [each["session_id"] for each in await app.gateway.sessions(me)] == [first.session_id]
    kinds = [event["kind"] for event in await app.gateway.transcript(me, first.session_id)]
    assert [kind for kind in kinds if kind != "checkpointed"] == ["session_opened", "cell_ran"]


async def test_on_again_the_next_cell_gets_a_new_kernel_and_what_was_there(app):
    me = app.stdio_principal()
    first = await app.gateway.execute(me, ExecuteRequest("x = 1"))
    await off(app)
    await on(app)
    again = await app.gateway.execute(me, ExecuteRequest("x", first.session_id))
    assert (again.status, again.result, again.execution_count, again.restored) == ("ok", "1", 2, True)


async def test_cells_that_wait_for_their_turn_never_run(app, upstream):
    first = begin(app, KINDS["sleep"])
    await until(lambda: any(session.seat._cell for session in app.gateway.live()))
    (session,) = app.gateway.live()
    waiting = begin(app, "1", session.id)
    await until(lambda: session._line._waiting)
    await off(app)
    assert (await first).status == "disabled"
    with pytest.raises(GatewayError, match="switched off"):
        await waiting
    assert session.cells == 1


async def test_a_kernel_that_was_being_started_never_runs_its_cell(app):
    started, go = asyncio.Event(), asyncio.Event()
    take_kernel, taken = app.gateway._services.take_kernel, []

    async def slow(organisation):
        started.set()
        await go.wait()
        taken.append(await take_kernel(organisation))
        return taken[0]

    app.gateway._places._services = replace(app.gateway._services, take_kernel=slow)
    task = begin(app, "ran = True")
    await started.wait()
    await off(app)
    go.set()
    with pytest.raises(GatewayError, match="switched off"):
        await task
    assert taken[0].gone.done()


@pytest.mark.parametrize(("part", "name"), [(Part.ROLE, "dev"), (Part.FRONT_END, "stdio")])
async def test_a_role_or_front_end_that_is_off_stops_its_own_cells_and_nobody_elses(app, upstream, part, name):
    me = app.stdio_principal()
    other = replace(me, subject="somebody", role="ops", front_end="mcp")
    mine, others = begin(app, KINDS["sleep"]), begin(app, KINDS["a call in flight"], principal=other)
    await until(lambda: upstream.waiting and all(session.seat._cell for session in app.gateway.live()))
    await off(app, part, name)
    assert (await mine).status == "disabled"
    with pytest.raises(GatewayError, match=f"`{name}` is switched off"):
        await app.gateway.execute(me, ExecuteRequest("1"))
    upstream.released.set()
    assert (await others).status == "ok"
    assert app.gateway.ready() == (True, [])


@pytest.mark.parametrize(("part", "name"), [(Part.SERVER, "image_ops"), (Part.OPERATION, "image_ops:quota_get")])
async def test_a_server_or_operation_that_is_off_is_refused_to_cells_that_go_on(app, upstream, part, name):
    await off(app, part, name)
    code = "try: image_ops.quota_get()\nexcept ToolError as error: print(error.code, error.message)"
    result = await app.gateway.execute(app.stdio_principal(), ExecuteRequest(code))
    what = part.replace("_", " ")
    assert result.stdout == (
        f"disabled the {what} `{name}` is switched off: a drill; an operator must switch it on again\n"
    )
    assert [call.status for call in result.calls] == ["disabled"]
    assert upstream.begun == 0
    (event,) = [each for each in await transcript(app, result) if each["kind"] == "operation_called"]
    assert (event["decision"], event["rule"], event["status"]) == ("deny", "kill_switch", "disabled")


async def test_a_call_in_flight_to_a_server_that_goes_off_finishes_and_the_next_is_refused(app, upstream):
    code = f"""
{KINDS["a call in flight"]}
try: image_ops.quota_get()
except ToolError as error: print(error.code)"""
    task = begin(app, code)
    await until(lambda: upstream.waiting)
    await off(app, Part.SERVER, "image_ops")
    upstream.released.set()
    result = await task
    assert (result.status, result.stdout) == ("ok", "disabled\n")
    assert [call.status for call in result.calls] == ["ok", "disabled"]


async def transcript(app, result):
    return await app.gateway.transcript(app.stdio_principal(), result.session_id)


async def test_off_stays_off_over_a_restart_and_the_service_says_that_it_is_not_ready(gateway_settings, hold):
    async with running(gateway_settings()) as first:
        await off(first)
    again = await hold(running(gateway_settings()))
    assert again.gateway.ready() == (
        False,
        ["this service is switched off: a drill; an operator must switch it on again"],
    )
    await on(again)
    assert again.gateway.ready() == (True, [])


async def test_another_gateway_of_the_folder_stops_too(app, gateway_settings, upstream, hold):
    task = begin(app, KINDS["sleep"])
    await until(lambda: any(session.seat._cell for session in app.gateway.live()))
    other = await hold(running(gateway_settings()))
    await off(other)
    assert (await task).status == "disabled"
    assert kernels_of_sessions(app) == []


async def test_only_an_operator_may_look_and_switch(app):
    me = app.stdio_principal()
    for refused in (
        app.operators.switch(me),
        app.operators.set_switch(me, Part.ALL, off=True),
        app.operators.sessions(me),
        app.operators.session(me, "ses_1"),
    ):
        with pytest.raises(GatewayError, match=r"`kernel\.admin` is missing") as caught:
            await refused
        assert caught.value.code == "denied"
    assert app.gateway.ready()[0]


@pytest.mark.parametrize(
    ("part", "name", "says"),
    [
        (Part.SERVER, "imageops", "no server has this name; there is image_ops"),
        (Part.OPERATION, "image_ops:nothing", "no operation has this name; there is image_ops:cleanup_create, "),
        (Part.ROLE, "nobody", "no role has this name; there is admin, dev, ops, ui"),
        (Part.FRONT_END, "http", "no front end has this name; there is mcp, rest, stdio"),
    ],
)
async def test_a_name_that_nothing_has_is_refused_when_switching_off(app, part, name, says):
    with pytest.raises(GatewayError) as caught:
        await off(app, part, name)
    assert caught.value.code == "invalid" and caught.value.message.startswith(says)
    assert (await on(app, part, name))["off"] == []


async def test_what_was_refused_is_not_written_down_as_switched_off(app):
    with pytest.raises(GatewayError, match="one printable line"):
        await off(app, reason="x" * 500)
    assert [event["kind"] for event in await app._journal.transcript("")] == []


async def test_each_setting_of_the_switch_is_an_event_without_its_reason(app, tmp_path):
    await off(app, Part.OPERATION, "image_ops:jobs_create", reason="do-not-write-this")
    await on(app, Part.OPERATION, "image_ops:jobs_create")
    events = await app._journal.transcript("")
    told = [(e["kind"], e["subject"], e["part"], e["name"], e["is_off"], e["reason_length"]) for e in events]
    who = OPERATOR.subject
    assert told == [
        ("switch_set", who, "operation", "image_ops:jobs_create", True, 17),
        ("switch_set", who, "operation", "image_ops:jobs_create", False, 0),
    ]
    assert "do-not-write-this" not in str(events)


async def test_off_holds_though_the_journal_cannot_be_written(app):
    await app._journal.close()
    with pytest.raises(GatewayError, match="the journal is closed"):
        await off(app)
    assert not app.gateway.ready()[0]
    with pytest.raises(GatewayError, match="the journal is closed"):
        await on(app)
    assert not app.gateway.ready()[0]
