"""Plan, approve, run: over real kernels and the real reference world, through the outer door."""

import asyncio
import dataclasses
import json
import threading
import warnings
from contextlib import asynccontextmanager

import pytest

from kernel_gateway import permits
from kernel_gateway.app import running
from kernel_gateway.approvals.shelf import Shelf
from kernel_gateway.embedded import embedded_world
from kernel_gateway.errors import GatewayError
from kernel_gateway.policy.policies import Source
from kernel_gateway.policy.review import finding, review
from kernel_gateway.reference.loopback import ReferenceWorldWarning
from kernel_gateway.sessions.result import Answer, ExecuteRequest
from tests.conftest import until

READ = "image_ops.quota_get().org"
CREATE = "u = image_ops.uploads_init(filename='a.png', content_type='image/png', size_bytes=8)\nu.upload_id"
DELETE = "image_ops.cleanup_create(ids=['job_11111111'], idempotency_key='k1').deleted"


@pytest.fixture
def settings(gateway_settings):
    """Settings of a gateway that asks about all that is above `risk`."""

    def of(risk="medium", **sections):
        return gateway_settings(policy={"auto_approve_risk": risk, **sections.pop("policy", {})}, **sections)

    return of


@pytest.fixture
def caller(settings, world_and_app):
    """The outer door for one principal."""

    async def start(**more):
        _, app = await world_and_app(settings(**more))
        return Caller(app, app.stdio_principal())

    return start


@pytest.fixture
async def restarting(settings, hold):
    """`restarting(**settings)` -> a context manager for one life of a gateway; each begins where the last one ended."""

    async def start(**more):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReferenceWorldWarning)
            _, connected = await hold(embedded_world(settings(**more)))

        @asynccontextmanager
        async def life(**options):
            async with running(connected, embedded=True, **options) as app:
                yield Caller(app, app.stdio_principal())

        return life

    return start


class Caller:
    def __init__(self, app, principal):
        self.app, self.gateway, self.me = app, app.gateway, principal
        self.session_id = ""

    async def run(self, code, session_id=None, principal=None, **more):
        request = ExecuteRequest(code, self.session_id if session_id is None else session_id, **more)
        result = await self.gateway.execute(principal or self.me, request)
        self.session_id = result.session_id or self.session_id
        return result

    async def code_of(self, code, **more):
        with pytest.raises(GatewayError) as caught:
            await self.run(code, **more)
        assert "\n" not in caught.value.message
        return caught.value.code

    async def agreed(self, code, **more):
        """Runs a cell and says yes to every question, as a user who is asked does; (result, questions)."""
        answer, questions = None, []
        while True:
            result = await self.run(code, can_ask=True, answer=answer, **more)
            if result.approval is None:
                return result, questions
            questions.append(result.approval.pending.question)
            answer = Answer(result.approval.id, True)

    async def transcript(self, kind):
        events = await self.gateway.transcript(self.me, self.session_id)
        return [event for event in events if event["kind"] == kind]


async def test_what_is_of_little_risk_runs_without_a_question(caller):
    agent = await caller()
    assert (await agent.run(READ)).result == "'local'"
    assert (await agent.run(CREATE)).status == "ok"
    assert await agent.transcript("approval_asked") == []


async def test_validate_only_runs_nothing_and_says_what_would_happen(caller):
    agent = await caller()
    valid = await agent.run(READ, validate_only=True)
    assert (valid.status, valid.execution_count, valid.calls) == ("ok", 0, ())
    assert valid.reviewed.review.operations == ("image_ops:quota_get",)
    assert valid.reviewed.reasons and valid.approval.token
    (session,) = await agent.gateway.sessions(agent.me)
    assert (session["cells"], session["calls"]) == (0, 0)
    assert await agent.transcript("cell_ran") == []
    ran = await agent.run(READ, approval_token=valid.approval.token)
    assert (ran.status, ran.execution_count) == ("ok", 1)


async def test_a_risky_cell_waits_for_an_approval_and_its_token_lets_it_run_once(caller):
    agent = await caller(risk="low")
    asked = await agent.run(CREATE)
    assert (asked.status, asked.code, asked.execution_count) == ("approval_required", "", 0)
    assert "image_ops:uploads_init" in asked.reviewed.review.explanation
    ran = await agent.run(CREATE, approval_token=asked.approval.token)
    assert (ran.status, ran.execution_count) == ("ok", 1), ran
    assert await agent.code_of(CREATE, approval_token=asked.approval.token) == "approval_used"


async def test_each_way_in_which_an_approval_fails_has_its_own_code_and_changes_nothing(caller):
    agent = await caller(risk="low")
    token = (await agent.run(CREATE)).approval.token
    mine = agent.session_id
    assert await agent.code_of(CREATE + " ", approval_token=token) == "approval_changed"
    fewer = dataclasses.replace(agent.me, scopes=agent.me.scopes - {"image.quota.read"})
    assert await agent.code_of(CREATE, approval_token=token, principal=fewer) == "approval_changed"
    assert await agent.code_of(CREATE, approval_token=token + "A") == "approval_invalid"
    assert await agent.code_of(CREATE, approval_token=token, session_id="") == "approval_session"
    other = (await agent.run("1", session_id="")).session_id
    assert await agent.code_of(CREATE, approval_token=token, session_id=other) == "approval_session"
    assert await agent.code_of("1", approval_token=token, session_id=mine) == "approval_changed"
    agent.session_id = mine
    assert (await agent.run(CREATE, approval_token=token)).status == "ok"  # none of that changed the state
    token = (await agent.run(CREATE)).approval.token
    assert (await agent.run("1")).status == "ok"
    assert await agent.code_of(CREATE, approval_token=token) == "approval_state"


async def test_an_approval_ends_with_its_time(restarting):
    now = [1_795_000_000.0]
    life = await restarting(risk="low")
    async with life(clock=lambda: now[0]) as agent:
        first = await agent.run(CREATE)
        now[0] += 299.9
        assert (await agent.run(CREATE, validate_only=True)).approval.token == first.approval.token
        now[0] += 0.1
        assert await agent.code_of(CREATE, approval_token=first.approval.token) == "approval_expired"


async def test_a_persons_question_about_a_cell_ends_with_its_own_time(restarting):
    now = [1_795_000_000.0]
    life = await restarting()
    async with life(clock=lambda: now[0]) as agent:
        asked = await agent.run("exec('x = 1')\n" + DELETE)
        assert asked.approval.pending.approver == "person"
        now[0] += 3599.9
        bob = dataclasses.replace(agent.me, subject="bob", client="console", scopes=frozenset({"kernel.approve"}))
        bob = dataclasses.replace(bob, expires_at=2e9)
        assert [each.id for each in await agent.gateway.approvals(bob)] == [asked.approval.id]
        now[0] += 0.1
        assert await agent.gateway.approvals(bob) == []


async def test_a_token_that_fails_is_refused_where_none_was_needed(caller):
    agent = await caller()
    token = (await agent.run(READ, validate_only=True)).approval.token
    assert await agent.code_of(READ + "\n", approval_token=token) == "approval_changed"


async def test_two_runs_at_once_cannot_share_one_approval(caller):
    agent = await caller(risk="low")
    token = (await agent.run(CREATE)).approval.token
    both = [agent.run(CREATE, approval_token=token) for _ in range(2)]
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    ran = [each for each in outcomes if not isinstance(each, GatewayError)]
    refused = [each.code for each in outcomes if isinstance(each, GatewayError)]
    assert [each.status for each in ran] == ["ok"]
    assert refused in (["approval_state"], ["approval_used"])


async def test_a_call_beyond_the_plan_is_refused_before_it_is_sent_and_written_down(caller):
    agent = await caller(risk="critical")
    await agent.run("def again():\n    return 1")
    hidden = "image_ops.quota_get = lambda: (call_tool('image_ops:quota_get'), call_tool('image_ops:quota_get'))"
    await agent.run(hidden)
    result = await agent.run("try:\n  image_ops.quota_get()\nexcept ToolError as error:\n  print(error.code)")
    assert result.stdout == "plan_exceeded\n"
    assert [call.status for call in result.calls] == ["ok", "plan_exceeded"]
    last = (await agent.transcript("operation_called"))[-1]
    assert (last["rule"], last["decision"], last["http_status"]) == ("plan", "deny", 0)


async def test_a_leftover_of_an_earlier_cell_gets_no_more_than_the_running_cells_plan(caller):
    agent = await caller(risk="critical")
    planted = (
        "import threading, time\nseen = []\ndef work():\n  while len(seen) < 3:\n    try:\n"
        "      seen.append(call_tool('image_ops:uploads_init', "
        "{'filename': 'a.png', 'content_type': 'image/png', 'size_bytes': 8}))\n"
        "    except ToolError as error:\n      seen.append(error.code)\n    time.sleep(0.05)\n"
        "threading.Timer(0.3, work).start()"
    )
    await agent.run(planted)
    result = await agent.run("import time\nwhile len(seen) < 3: time.sleep(0.02)\nprint(seen)")
    assert "uploads" not in result.stdout and "plan_exceeded" in result.stdout
    called = [event for event in await agent.transcript("operation_called") if event["status"] == "plan_exceeded"]
    assert called and {event["rule"] for event in called} == {"plan"}
    assert {event["http_status"] for event in called} == {0}


async def test_a_destructive_call_is_asked_about_again_with_its_actual_arguments(caller):
    agent = await caller()
    await agent.run("ids = ['job_11111111', 'job_22222222']")
    result, questions = await agent.agreed(DELETE.replace("['job_11111111']", "ids"))
    assert result.status == "ok", result.error
    assert len(questions) == 2
    assert questions[0].startswith("An agent wants to run a cell of 1 line.")
    assert 'ids: ["job_11111111", "job_22222222"]' in questions[1]


async def test_the_call_is_not_sent_before_the_answer_and_the_cell_keeps_its_variables(caller):
    agent = await caller()
    cell = "before = 41\nanswer = image_ops.cleanup_create(ids=['upl_11111111'], idempotency_key='k')\nbefore + 1"
    asked = await agent.run(cell, can_ask=True)
    paused = await agent.run(cell, can_ask=True, answer=Answer(asked.approval.id, True))
    assert (paused.status, paused.execution_count) == ("paused", 1)
    assert await agent.transcript("operation_called") == []
    result = await agent.run(cell, can_ask=True, answer=Answer(paused.approval.id, True))
    assert (result.status, result.result) == ("ok", "42"), result
    (called,) = await agent.transcript("operation_called")
    assert (called["status"], called["operation"]) == ("ok", "image_ops:cleanup_create")


DENIABLE = (
    "try:\n  image_ops.cleanup_create(ids=['upl_11111111'], idempotency_key='k')\n"
    "except ToolError as error:\n  print(error.code)"
)


async def test_a_denied_call_is_a_tool_error_and_the_cell_goes_on(caller):
    agent = await caller()
    asked = await agent.run(DENIABLE, can_ask=True)
    paused = await agent.run(DENIABLE, can_ask=True, answer=Answer(asked.approval.id, True))
    result = await agent.run(DENIABLE, can_ask=True, answer=Answer(paused.approval.id, False))
    assert (result.status, result.stdout) == ("ok", "approval_denied\n")
    outcomes = [event["outcome"] for event in await agent.transcript("approval_ended")]
    assert outcomes == ["approved", "used", "denied"]


async def test_a_pause_without_an_answer_ends_at_its_own_deadline_and_the_cells_clock_stood_still(caller):
    agent = await caller(approvals={"pause_seconds": 1.5})
    asked = await agent.run(DENIABLE, can_ask=True, timeout_seconds=1.0)
    paused = await agent.run(DENIABLE, can_ask=True, timeout_seconds=1.0, answer=Answer(asked.approval.id, True))
    assert paused.status == "paused"
    result = await agent.run(DENIABLE, timeout_seconds=1.0)
    assert (result.status, result.stdout, result.execution_count) == ("ok", "approval_expired\n", 1)


async def test_a_denied_cell_does_not_run_and_leaves_no_session(caller):
    agent = await caller()
    asked = await agent.run(DELETE, can_ask=True)
    denied = await agent.run(DELETE, session_id="", can_ask=True, answer=Answer(asked.approval.id, False))
    assert (denied.status, denied.code) == ("denied", "approval_denied")
    assert await agent.gateway.sessions(agent.me) == []


async def test_what_the_user_denied_cannot_be_run_with_the_token_of_the_same_question(caller):
    agent = await caller()
    token = (await agent.run(DELETE)).approval.token
    asked = await agent.run(DELETE, can_ask=True)
    assert (await agent.run(DELETE, can_ask=True, answer=Answer(asked.approval.id, False))).status == "denied"
    assert (await agent.run(DELETE, approval_token=token)).code == "approval_denied"


async def test_where_the_user_can_be_asked_a_token_does_not_replace_the_question(caller):
    agent = await caller()
    token = (await agent.run(DELETE)).approval.token
    asked = await agent.run(DELETE, approval_token=token, can_ask=True)
    assert (asked.status, asked.approval.token) == ("approval_required", "")


async def test_who_cannot_be_asked_gets_paused_and_answers_with_the_token(caller):
    agent = await caller()
    token = (await agent.run(DENIABLE)).approval.token
    paused = await agent.run(DENIABLE, approval_token=token, request_id="r1")
    assert (paused.status, paused.approval.pending.kind) == ("paused", "call")
    result = await agent.run(DENIABLE, approval_token=paused.approval.token, request_id="r1")
    assert (result.status, result.stdout, result.execution_count) == ("ok", "", 1)
    again = await agent.run(DENIABLE, request_id="r1")
    assert again == result


async def test_the_same_cell_sent_again_joins_the_paused_one_and_never_runs_twice(caller):
    agent = await caller(approvals={"join_seconds": 0.2})
    asked = await agent.run(DENIABLE, can_ask=True)
    first = await agent.run(DENIABLE, can_ask=True, answer=Answer(asked.approval.id, True))
    joined = await agent.run(DENIABLE)
    assert (joined.status, joined.approval.id, joined.execution_count) == ("paused", first.approval.id, 1)
    joining = asyncio.create_task(agent.run(DENIABLE, can_ask=True))
    result = await agent.run(DENIABLE, can_ask=True, answer=Answer(first.approval.id, True))
    assert (await joining) == result
    assert len(await agent.transcript("cell_ran")) == 1


async def test_an_answer_of_another_caller_is_none(caller):
    agent = await caller()
    asked = await agent.run(DELETE, can_ask=True)
    eve = dataclasses.replace(agent.me, subject="eve")
    request = ExecuteRequest(DELETE, asked.session_id, can_ask=True, answer=Answer(asked.approval.id, True))
    with pytest.raises(GatewayError) as caught:
        await agent.gateway.execute(eve, request)
    assert caught.value.code == "not_found"


async def test_in_a_kernel_that_ran_other_cells_every_change_under_an_approval_is_asked_about(caller):
    agent = await caller(risk="low")
    fresh, questions = await agent.agreed(CREATE, session_id=None)
    assert (fresh.status, len(questions)) == ("ok", 1)  # nothing can be left over in a kernel's first cell
    second, questions = await agent.agreed(CREATE)
    assert (second.status, len(questions)) == ("ok", 2)
    assert 'filename: "a.png"' in questions[1]
    third, questions = await agent.agreed(READ)
    assert (third.status, questions) == ("ok", [])


async def test_a_leftovers_call_under_an_approval_is_shown_for_what_it_is_and_not_sent_without_a_yes(caller):
    agent = await caller(risk="low")
    planted = (
        "import threading\ngo = threading.Event()\ndef work():\n  go.wait()\n"
        "  image_ops.uploads_init(filename='leftover.png', content_type='image/png', size_bytes=9)\n"
        "threading.Thread(target=work, daemon=True).start()"
    )
    await agent.agreed(planted)
    cell = "import time\ngo.set()\ntime.sleep(1)\n" + CREATE
    asked = await agent.run(cell, can_ask=True)
    paused = await agent.run(cell, can_ask=True, answer=Answer(asked.approval.id, True))
    assert 'filename: "leftover.png"' in paused.approval.pending.question
    result = await agent.run(cell, can_ask=True, answer=Answer(paused.approval.id, False))
    while result.status == "paused":
        result = await agent.run(cell, can_ask=True, answer=Answer(result.approval.id, False))
    sent = [event for event in await agent.transcript("operation_called") if event["status"] == "ok"]
    assert sent == []


PERSON = """@id("ask_person")
@code("approval_required")
@approver("person")
@reason("an upload needs another person")
forbid (principal, action, resource == Kernel::Operation::"image_ops:uploads_init")
unless { context.approved };
"""
RISKY = "print.__self__\n"  # asked about, of the caller's own user


async def test_a_users_yes_to_a_cell_is_none_to_a_call_that_needs_a_person(caller, tmp_path):
    (tmp_path / "own.cedar").write_text(PERSON)
    agent = await caller(policy={"files": [str(tmp_path / "own.cedar")]})
    asked = await agent.run(RISKY + CREATE)
    assert asked.approval.pending.approver == "user"
    paused = await agent.run(RISKY + CREATE, approval_token=asked.approval.token)
    assert (paused.status, paused.approval.pending.approver) == ("paused", "person")
    assert await agent.transcript("operation_called") == []


async def test_a_users_yes_does_not_count_where_the_policy_asks_for_a_person_by_then(caller):
    agent = await caller()
    asked = await agent.run(DENIABLE, can_ask=True)
    paused = await agent.run(DENIABLE, can_ask=True, answer=Answer(asked.approval.id, True))
    policies = agent.gateway._authorizer.authorizer._authorizer
    stricter = PERSON.replace("uploads_init", "cleanup_create")
    policies.use(Source(policies.source.settings, {"own.cedar": stricter}))
    result = await agent.run(DENIABLE, can_ask=True, answer=Answer(paused.approval.id, True))
    assert (result.status, result.stdout) == ("ok", "approval_required\n")
    (called,) = await agent.transcript("operation_called")
    assert (called["decision"], called["rule"], called["http_status"]) == ("deny", "ask_person", 0)


async def test_a_long_cell_is_read_while_others_go_on(caller, monkeypatch):
    agent = await caller()
    beats, seen = 0, []

    def reading(*given):
        before = beats
        found = review(*given)
        seen.append(beats - before)
        return found

    monkeypatch.setattr(permits, "review", reading)
    running = asyncio.create_task(agent.run("a;" * 32_000, validate_only=True))
    while not running.done():
        await asyncio.sleep(0)
        beats += 1
    assert (await running).status == "ok"
    assert len(seen) == 1 and seen[0] > 0


async def test_what_a_session_becomes_while_a_long_cell_is_read_is_read_too(caller, monkeypatch):
    agent = await caller()
    await agent.run("1")
    loop, read_by, go = asyncio.get_running_loop(), [], threading.Event()

    def reading(*given):
        if len(given[0]) > 5000:
            read_by.append(given[2])
            go.wait()
        return review(*given)

    monkeypatch.setattr(permits, "review", reading)
    long = asyncio.create_task(agent.run("made()\n" + "#" * 6000, validate_only=True))
    await until(lambda: read_by)
    await agent.run("def made():\n    image_ops.quota_get()")
    loop.call_soon(go.set)
    assert (await long).reviewed.review.operations == ("image_ops:quota_get",)
    assert ["made" in known for known in read_by] == [False, True]


async def test_a_long_cell_of_a_session_that_keeps_changing_is_given_up_after_a_second_reading(caller, monkeypatch):
    agent = await caller()
    await agent.run("1")
    loop, read = asyncio.get_running_loop(), []

    def reading(*given):
        if len(given[0]) > 5000:
            read.append(asyncio.run_coroutine_threadsafe(agent.run("2"), loop).result().status)
        return review(*given)

    monkeypatch.setattr(permits, "review", reading)
    with pytest.raises(GatewayError) as refused:
        await agent.run("#" * 6000)
    assert (refused.value.code, read) == ("busy", ["ok", "ok"])


async def test_a_long_cell_that_is_given_up_is_read_to_its_end_before_another_begins(caller, monkeypatch):
    agent = await caller()
    eve = dataclasses.replace(agent.me, subject="eve")
    under_way, most, go = [], [], threading.Event()

    def reading(*given):
        under_way.append(given[0])
        most.append(len(under_way))
        go.wait()
        under_way.pop()
        return review(*given)

    monkeypatch.setattr(permits, "review", reading)
    given_up = asyncio.create_task(agent.run("#" * 6000, "", validate_only=True))
    await until(lambda: under_way)
    given_up.cancel()
    later = [asyncio.create_task(agent.run("#" * 6000, "", who, validate_only=True)) for who in (agent.me, eve)]
    await until(lambda: len(agent.gateway._cells.permits._readers) == 2)
    assert (len(under_way), given_up.done()) == (1, False)
    go.set()
    await asyncio.gather(*later)
    assert given_up.cancelled() and most == [1, 1, 1]


NO_CHANGE = """@id("sunday")
@code("disabled")
@reason("`{resource}` not on Sundays")
forbid (principal, action in Kernel::Action::"change", resource);
"""


async def test_the_long_cells_of_one_caller_do_not_stand_before_anothers(caller, monkeypatch):
    agent = await caller()
    eve = dataclasses.replace(agent.me, subject="eve")
    order, go = [], threading.Event()

    def reading(*given):
        order.append(given[0][:3])
        go.wait()
        return review(*given)

    monkeypatch.setattr(permits, "review", reading)

    def send(name, who):
        return asyncio.create_task(agent.run(f"{name}\n" + "#" * 6000, "", who, validate_only=True))

    sent = [send(f"'{number}'", agent.me) for number in range(3)]
    await until(lambda: order)
    sent.append(send("'e'", eve))
    permit = agent.gateway._cells.permits
    await until(lambda: len(permit._readers) == 2)
    go.set()
    await asyncio.gather(*sent)
    assert order[1] == "'e'" and sorted(order) == ["'0'", "'1'", "'2'", "'e'"]
    del sent
    await until(lambda: len(permit._readers) == 0)


async def test_a_session_keeps_so_many_names_of_its_cells(caller, monkeypatch):
    monkeypatch.setattr(finding, "MAX_NAMES", 3)
    agent = await caller()
    await agent.run("a = b = 1")
    await agent.run("c = d = 1")
    (session,) = agent.gateway.live()
    assert len(session.helpers) == 3 and {"c", "d"} <= session.helpers.keys()


async def test_what_would_be_refused_anyway_is_said_and_nobody_is_asked(caller, tmp_path):
    (tmp_path / "own.cedar").write_text(NO_CHANGE)
    agent = await caller(policy={"files": [str(tmp_path / "own.cedar")]})
    for code, reason in ((CREATE, "`image_ops:uploads_init` not on"), (DELETE, "`image_ops:cleanup_create` not on")):
        valid = await agent.run(code, session_id="", validate_only=True)
        assert (valid.status, valid.approval) == ("denied", None) and reason in valid.message
        assert reason in valid.reviewed.reasons[0] and valid.reviewed.review.operations
    asked = await agent.run(DELETE, session_id="", can_ask=True)
    assert (asked.status, asked.code, asked.approval) == ("denied", "disabled", None)
    assert await agent.gateway.sessions(agent.me) == []
    assert (await agent.run(READ, validate_only=True)).reviewed.reasons == (
        "the policy lets it run at low risk without an approval",
    )


async def test_a_pause_counts_as_time_that_the_cell_took(caller):
    agent = await caller(approvals={"pause_seconds": 1.5})
    asked = await agent.run(DENIABLE, can_ask=True, timeout_seconds=1.0)
    await agent.run(DENIABLE, can_ask=True, timeout_seconds=1.0, answer=Answer(asked.approval.id, True))
    assert (await agent.run(DENIABLE, timeout_seconds=1.0)).status == "ok"
    (session,) = agent.gateway.live()
    assert session.account.tally.used.milliseconds >= 1500


async def test_whoever_approved_a_cell_and_what_that_used_up_is_in_the_journal(caller):
    agent = await caller(risk="low")
    asked = await agent.run(CREATE)
    await agent.run(CREATE, approval_token=asked.approval.token)
    await agent.run(READ)
    valid = await agent.run(READ, validate_only=True)
    await agent.run(READ, approval_token=valid.approval.token)
    ran = [(event["approver"], event["approval_id"]) for event in await agent.transcript("cell_ran")]
    assert ran == [("user", asked.approval.id), ("auto", ""), ("auto", valid.approval.id)]
    ended = [(event["approval_id"], event["outcome"]) for event in await agent.transcript("approval_ended")]
    assert ended == [(asked.approval.id, "used"), (valid.approval.id, "used")]


BOTH = {"kernel.approve", "kernel.create"}


@pytest.mark.parametrize("act", ["search", "create_session"])
async def test_a_client_that_searches_or_makes_sessions_approves_nothing(caller, act):
    agent = await caller()
    bob = dataclasses.replace(agent.me, subject="bob", client="console", scopes=agent.me.scopes | BOTH)
    assert await agent.gateway.approvals(bob) == []
    await (agent.gateway.search(bob, "quota") if act == "search" else agent.gateway.create_session(bob, []))
    with pytest.raises(GatewayError) as caught:
        await agent.gateway.approvals(dataclasses.replace(bob, subject="eve"))
    assert caught.value.code == "denied"


async def test_a_session_that_a_person_is_asked_about_does_not_end_for_being_idle(restarting):
    now = [1_795_000_000.0]
    life = await restarting(sessions={"reap_interval_seconds": 0.01, "ttl_seconds": 1800})
    async with life(clock=lambda: now[0]) as agent:
        asked = await agent.run("exec('x = 1')\n" + DELETE)
        other = await agent.run(READ, session_id="", validate_only=True)
        now[0] += 3000
        await until(lambda: other.session_id not in agent.gateway._places._open)
        assert asked.session_id in agent.gateway._places._open
        now[0] += 600
        await until(lambda: asked.session_id not in agent.gateway._places._open)


async def test_a_kernel_that_dies_while_a_call_waits_voids_the_question_and_says_so(caller):
    agent = await caller(approvals={"join_seconds": 30})
    cell = "import os, threading\nthreading.Timer(1, os._exit, (3,)).start()\n" + DELETE
    asked = await agent.run(cell, can_ask=True)
    paused = await agent.run(cell, can_ask=True, answer=Answer(asked.approval.id, True), request_id="r")
    assert paused.status == "paused"
    lost = await agent.run(cell, request_id="r")
    assert lost.status == "lost"
    assert "the approval of `image_ops:cleanup_create` is void and nothing was sent" in lost.message
    assert [event["outcome"] for event in await agent.transcript("approval_ended")] == ["approved", "used", "void"]
    assert [event["status"] for event in await agent.transcript("operation_called")] == ["canceled"]
    late = ExecuteRequest(cell, agent.session_id, can_ask=True, answer=Answer(paused.approval.id, True), request_id="r")
    assert await agent.gateway.execute(agent.me, late) == lost


async def test_an_interrupted_cell_takes_its_question_along(caller):
    agent = await caller()
    asked = await agent.run(DELETE, can_ask=True)
    await agent.run(DELETE, can_ask=True, answer=Answer(asked.approval.id, True))
    assert await agent.gateway.interrupt(agent.me, agent.session_id)
    result = await agent.run(DELETE)
    assert result.status == "interrupted"
    assert [event["outcome"] for event in await agent.transcript("approval_ended")] == ["approved", "used", "void"]


async def test_a_module_that_the_policy_denies_is_refused_by_name(caller):
    agent = await caller(policy={"denied_modules": ["ctypes"]})
    result = await agent.run("import ctypes")
    assert (result.status, result.code) == ("denied", "denied")
    assert "ctypes" in result.message
    assert await agent.gateway.sessions(agent.me) == []


async def test_events_and_the_database_hold_what_was_asked_as_digests_only(caller, tmp_path):
    agent = await caller()
    secret = "job_ultramarine"
    await agent.run(DELETE.replace("job_11111111", secret), can_ask=True)
    (asked,) = await agent.transcript("approval_asked")
    assert len(asked["terms_digest"]) >= 32 and len(asked["question_digest"]) >= 32
    assert secret not in json.dumps(asked)
    state = tmp_path / "state"
    held = [path for path in state.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert held == []


async def test_a_whole_cells_question_survives_a_restart_and_its_answer_still_counts(restarting):
    life = await restarting(risk="low")
    async with life() as agent:
        asked = await agent.run(CREATE, can_ask=True)
    async with life() as agent:
        result = await agent.run(CREATE, can_ask=True, answer=Answer(asked.approval.id, True))
        assert (result.status, result.session_id) == ("ok", asked.session_id)
        assert await agent.code_of(CREATE, can_ask=True, answer=Answer(asked.approval.id, True)) == "approval_used"
    async with life() as agent:
        gone = await agent.code_of(CREATE, session_id=asked.session_id, answer=Answer(asked.approval.id, True))
        assert gone == "approval_used"


async def test_a_token_that_was_used_stays_used_over_a_restart(restarting):
    life = await restarting(risk="low")
    async with life() as agent:
        first = await agent.run(CREATE)
        token = first.approval.token
        await agent.gateway._queue.spend(first.approval.pending.claims, agent.me, first.session_id)
        assert await agent.code_of(CREATE, approval_token=token) == "approval_used"
        await agent.run(CREATE + "\n")  # another question of that session, which brings it back
    async with life() as agent:
        agent.session_id = first.session_id
        assert await agent.code_of(CREATE, approval_token=token) == "approval_used"


async def test_a_call_that_was_paused_at_a_restart_is_void_and_the_session_says_so(restarting, monkeypatch):
    life = await restarting()
    async with life() as agent:
        asked = await agent.run(DELETE, can_ask=True)
        paused = await agent.run(DELETE, can_ask=True, answer=Answer(asked.approval.id, True))
        assert paused.status == "paused"
        with monkeypatch.context() as killed:  # nobody tidies up after a kill
            killed.setattr(Shelf, "remove", untouched)
            await agent.gateway.close()
    async with life() as agent:
        with pytest.raises(GatewayError) as caught:
            await agent.run(DELETE, session_id=paused.session_id)
        assert caught.value.code == "not_found"
        assert "its approval is void and nothing was sent" in caught.value.message
    async with life() as agent:
        assert await agent.code_of(DELETE, session_id=paused.session_id) == "not_found"


async def untouched(*_):
    return None
