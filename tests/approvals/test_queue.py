"""Questions that wait, over a real database and a real vault."""

import asyncio
import dataclasses
import itertools

import pytest

from kernel_gateway.approvals.approvers import SCOPE
from kernel_gateway.approvals.queue import Queue
from kernel_gateway.approvals.settings import ApprovalSettings
from kernel_gateway.approvals.shelf import Shelf
from kernel_gateway.approvals.token import Claims, Terms
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from kernel_gateway.store.vault import Vault

ADA = Principal("https://issuer.test", "acme", "ada", "agent", "dev", frozenset({"kernel.execute"}), 2e9)
EVE = dataclasses.replace(ADA, subject="eve")
BOB = dataclasses.replace(ADA, subject="bob", client="console", scopes=frozenset({SCOPE}))


class Desk:
    def __init__(self, folder, **settings):
        self.now, self.events = 1000.0, []
        self.database = Database(folder / "approvals.db")
        numbers = itertools.count()
        self.queue = Queue(
            Shelf(self.database, Vault(self.database, Keys(folder / "keys"))),
            ApprovalSettings(**settings),
            self.events.append,
            lambda organisation, content: "d" * 64,
            lambda: self.now,
            lambda kind: f"{kind}_{next(numbers):032x}",
        )

    async def ask(self, text="x", kind="cell", approver="person", who=ADA, session="ses_1", seconds=100.0):
        terms = Terms(text, session, who.identity, (), "dev", "0:0", "c", "p", {})
        return await self.queue.ask(
            kind, approver, who, terms, lambda until: f"? {until}", risk="high", operations=("a:b",), seconds=seconds
        )

    @property
    def outcomes(self):
        return [event.outcome for event in self.events if event.kind == "approval_ended"]


@pytest.fixture
async def desk_with(tmp_path):
    desks = []

    async def make(**settings):
        desks.append(Desk(tmp_path, **settings))
        await desks[-1].queue.start()
        return desks[-1]

    yield make
    for desk in desks:
        await desk.database.close()


async def code_of(awaitable):
    with pytest.raises(GatewayError) as caught:
        await awaitable
    return caught.value.code


async def test_a_caller_has_so_many_questions_and_no_more_and_costs_others_nothing(desk_with):
    desk = await desk_with(max_waiting_per_principal=2, max_waiting=3)
    await desk.ask("a")
    await desk.ask("b", seconds=50.0)
    assert (await desk.ask("a")).id  # the same question is not another one
    with pytest.raises(GatewayError) as caught:
        await desk.ask("c")
    assert (caught.value.code, caught.value.retry_after) == ("limited", 50)
    await desk.ask("a", who=EVE)
    assert await code_of(desk.ask("b", who=EVE)) == "limited"  # all together
    desk.now += 50
    assert (await desk.ask("c")).verdict == ""


async def test_the_first_answer_stands(desk_with):
    desk = await desk_with()
    pending = await desk.ask()
    await desk.queue.decide(pending.id, BOB, approve=False)
    assert await code_of(desk.queue.decide(pending.id, BOB, approve=True)) == "conflict"
    assert (await desk.ask()).verdict == "denied"
    assert desk.outcomes == ["denied"]


async def test_a_question_ends_with_its_time_and_is_then_unknown(desk_with):
    desk = await desk_with()
    pending = await desk.ask(seconds=100.0)
    desk.now += 99.9
    assert desk.queue.get(pending.id) == pending and len(desk.queue) == 1
    desk.now += 0.1
    assert desk.queue.get(pending.id) is None and len(desk.queue) == 0
    assert await code_of(desk.queue.decide(pending.id, BOB, approve=True)) == "not_found"
    await desk.queue.forget_expired()
    assert desk.outcomes == ["expired"]


async def test_a_paused_call_hears_its_verdict_once(desk_with):
    desk = await desk_with()
    for approve, verdict in ((True, "approved"), (False, "denied")):
        pending = await desk.ask(kind="call")
        waiting = asyncio.ensure_future(desk.queue.wait(pending))
        await desk.queue.decide(pending.id, BOB, approve=approve)
        assert await waiting == verdict
        assert desk.queue.get(pending.id) is None


async def test_whoever_stops_waiting_voids_the_question(desk_with):
    desk = await desk_with()
    pending = await desk.ask(kind="call")
    waiting = asyncio.ensure_future(desk.queue.wait(pending))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert desk.outcomes == ["void"]
    assert await code_of(desk.queue.decide(pending.id, BOB, approve=True)) == "not_found"


async def test_a_session_or_everything_can_be_voided(desk_with):
    desk = await desk_with()
    first, second = await desk.ask("a", session="ses_1"), await desk.ask("b", session="ses_2")
    await desk.queue.decide(first.id, BOB, approve=True)
    await desk.queue.void("ses_1")
    assert desk.queue.get(first.id) is None and desk.queue.get(second.id) == second
    await desk.queue.void()
    assert len(desk.queue) == 0


async def test_an_approval_is_used_once_also_after_a_restart(desk_with):
    desk = await desk_with()
    claims = Claims("apr_" + "0" * 32, 1000.0, 1300.0)
    await desk.queue.spend(claims, ADA, "ses_1")
    assert await code_of(desk.queue.spend(claims, ADA, "ses_1")) == "approval_used"
    again = await desk_with()
    assert await code_of(again.queue.spend(claims, ADA, "ses_1")) == "approval_used"
    assert await again.queue.is_spent(claims.id)


async def test_of_many_who_use_one_approval_at_once_one_gets_it(desk_with):
    desk = await desk_with()
    claims = Claims("apr_" + "0" * 32, 1000.0, 1300.0)
    outcomes = await asyncio.gather(
        *(desk.queue.spend(claims, ADA, "ses_1") for _ in range(20)), return_exceptions=True
    )
    assert outcomes.count(None) == 1


async def test_a_cells_question_and_its_answer_survive_a_restart_and_a_calls_is_void(desk_with, tmp_path):
    desk = await desk_with()
    cell, call = await desk.ask("a"), await desk.ask("b", kind="call", session="ses_2")
    approved = await desk.queue.decide(cell.id, BOB, approve=True)
    again = Desk(tmp_path)
    assert await again.queue.start() == [approved]
    assert again.queue.get(call.id) is None and again.outcomes == ["void"]
    assert again.queue.was_interrupted("ses_2", ADA) and not again.queue.was_interrupted("ses_2", EVE)
    await again.database.close()


async def test_a_yes_counts_once_it_is_written_down(desk_with, monkeypatch):
    desk = await desk_with()
    pending = await desk.ask()
    put, seen = desk.queue._shelf.put, []

    async def watched(decided):
        seen.append(desk.queue.get(pending.id).verdict)
        await put(decided)

    monkeypatch.setattr(desk.queue._shelf, "put", watched)
    assert (await desk.queue.decide(pending.id, BOB, approve=True)).verdict == "approved"
    assert seen == [""] and desk.outcomes == ["approved"]


@pytest.mark.parametrize("ends", ["void", "deny"])
async def test_a_yes_that_comes_while_the_question_ends_leaves_nothing(desk_with, tmp_path, monkeypatch, ends):
    desk = await desk_with()
    pending = await desk.ask()
    put = desk.queue._shelf.put

    async def overtaken(decided):
        if ends == "void":
            await desk.queue.void()
        else:
            await desk.queue.decide(pending.id, BOB, approve=False)
        await put(decided)

    monkeypatch.setattr(desk.queue._shelf, "put", overtaken)
    assert await code_of(desk.queue.decide(pending.id, BOB, approve=True)) == "conflict"
    assert desk.outcomes == ["void" if ends == "void" else "denied"]
    again = Desk(tmp_path)
    assert await again.queue.start() == []
    await again.database.close()


async def test_what_was_used_up_stays_so_whatever_is_written_down_later(desk_with):
    desk = await desk_with()
    pending = await desk.ask()
    await desk.queue.spend(pending.claims, ADA, "ses_1")
    await desk.queue._shelf.put(pending)
    assert await desk.queue.is_spent(pending.id)


async def test_an_operator_is_told_where_any_client_may_answer_a_person_s_question(desk_with):
    desk = await desk_with()
    await desk.ask(approver="user")
    assert desk.queue.notices() == []
    await desk.ask("y")
    assert ["approvals.clients" in each for each in desk.queue.notices()] == [True]
    named = await desk_with(clients=("console",))
    await named.ask("z")
    assert named.queue.notices() == []


async def test_a_client_that_runs_cells_approves_nothing_also_after_a_restart(desk_with):
    desk = await desk_with()
    await desk.queue.note_agent(dataclasses.replace(ADA, client="console"))
    assert await code_of(desk.queue.decide("apr_x", BOB, approve=True)) == "denied"
    again = await desk_with()
    with pytest.raises(GatewayError):
        again.queue.waiting_for(BOB)


async def test_a_client_that_was_named_for_people_may_look_around_and_run_nothing(desk_with):
    desk = await desk_with(clients=("console",))
    pending = await desk.ask()
    await desk.queue.note_agent(dataclasses.replace(ADA, client="console"))
    assert (await desk.queue.decide(pending.id, BOB, approve=True)).verdict == "approved"
    await desk.queue.note_agent(dataclasses.replace(ADA, client="console"), runs_cells=True)
    assert await code_of(desk.queue.decide((await desk.ask("y")).id, BOB, approve=True)) == "denied"


async def test_a_client_that_runs_cells_at_another_gateway_of_the_folder_approves_nothing_here(desk_with):
    desk, other = await desk_with(), await desk_with()
    pending = await desk.ask()
    await other.queue.note_agent(dataclasses.replace(ADA, client="console"))
    assert await code_of(desk.queue.decide(pending.id, BOB, approve=True)) == "denied"


async def test_nothing_of_a_question_is_readable_on_disk_and_nothing_is_left_of_a_used_one(desk_with, tmp_path):
    desk = await desk_with()
    pending = await desk.ask("ultramarine")
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"ultramarine" not in held and pending.id.encode() in held
    await desk.queue.decide(pending.id, BOB, approve=True)
    await desk.queue.spend(pending.claims, ADA, "ses_1")
    assert await desk.queue._shelf._vault.names(pending.id, "approval") == []
