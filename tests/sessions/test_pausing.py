"""How long a cell may wait for its approvals, and what it is told of a question that ends."""

import asyncio
import dataclasses
import itertools

import pytest

from kernel_gateway.approvals.queue import Queue
from kernel_gateway.approvals.settings import ApprovalSettings
from kernel_gateway.approvals.shelf import Shelf
from kernel_gateway.approvals.token import Terms
from kernel_gateway.audit.redact import redact
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.deadline import Deadline
from kernel_gateway.policy.plan import Plan
from kernel_gateway.reference.world import image_ops_catalog
from kernel_gateway.sessions.pausing import Pausing
from kernel_gateway.sessions.permit import Permit
from kernel_gateway.sessions.turns import Turn
from kernel_gateway.store.database import Database
from kernel_gateway.store.keys import Keys
from kernel_gateway.store.vault import Vault
from tests.conftest import until

ADA = Principal("https://issuer.test", "acme", "ada", "agent", "dev", frozenset({"kernel.execute"}), 2e9)
PERMIT = Permit(ADA, Plan({}), "user", Terms("x", "ses_1", ADA.identity, (), "dev", "0:1", "c", "p", {}), {})
CLEANUP = image_ops_catalog().get("image_ops:cleanup_create")


def digest(organisation, content):
    return "d" * 64


@pytest.fixture
async def pausing(tmp_path):
    database, numbers, events = Database(tmp_path / "approvals.db"), itertools.count(), []
    shelf = Shelf(database, Vault(database, Keys(tmp_path / "keys")))
    queue = Queue(
        shelf, ApprovalSettings(), events.append, digest, lambda: 1000.0, lambda kind: f"{kind}_{next(numbers):032x}"
    )
    await queue.start()
    yield Pausing(queue, ApprovalSettings(), redact, digest)
    await database.close()


def turn(paused_seconds=0.0):
    running = Turn(None, b"", asyncio.get_running_loop().create_future())
    running.task = asyncio.get_running_loop().create_future()
    running.deadline = Deadline(60.0)
    running.deadline.start()
    running.deadline._stopped = paused_seconds
    return running


async def asked(pausing, running):
    """The one question, and the task that waits for its answer."""
    task = asyncio.create_task(pausing.ask(running, PERMIT, CLEANUP, {"ids": ["a"]}, "user"))
    await until(lambda: running.paused_by or task.done())
    return task, next(iter(running.paused_by.values()), None)


async def test_the_pauses_of_a_cell_end_at_their_sum(pausing):
    total, single = pausing.settings.cell_pause_seconds, pausing.settings.pause_seconds
    for before, seconds in ((0.0, single), (total - single, single), (total - 1.5, 1.5)):
        task, question = await asked(pausing, turn(before))
        assert question.expires_at - question.issued_at == pytest.approx(seconds)
        await pausing.queue.answer(question.id, ADA, approve=True)
        await task
    task, question = await asked(pausing, turn(total))
    with pytest.raises(GatewayError) as caught:
        await task
    assert caught.value.code == "approval_expired" and "in all" in caught.value.message
    assert question is None


async def test_time_that_stood_still_is_known_while_it_does_and_after(pausing):
    running = turn()
    task, question = await asked(pausing, running)
    await until(lambda: running.paused_seconds > 0)
    during, ran = running.paused_seconds, running.deadline.ran_seconds
    await pausing.queue.answer(question.id, ADA, approve=True)
    await task
    after = running.paused_seconds
    assert after >= during
    await until(lambda: running.deadline.ran_seconds > ran)
    assert running.paused_seconds == after and running.seconds > after + ran


@pytest.mark.parametrize(
    ("end", "code", "said"), [("void", "approval_expired", "kill switch"), ("deny", "approval_denied", "was denied")]
)
async def test_a_question_that_ends_is_not_called_a_denial(pausing, end, code, said):
    task, question = await asked(pausing, turn())
    if end == "void":
        await pausing.queue.void()
    else:
        await pausing.queue.answer(question.id, dataclasses.replace(ADA), approve=False)
    with pytest.raises(GatewayError) as caught:
        await task
    assert caught.value.code == code and said in caught.value.message
