"""What kernels share of the event loop and of memory: who sends little never waits for who floods."""

import asyncio

import pytest

from kernel_gateway.kernels.shares import BURST_SECONDS, OWN_BURST_SECONDS, OWN_SHARE, BlobRoom, LoopShare, Portion
from tests.conftest import until

SHARE = 0.25


class Loop:
    """The time of the event loop, in our hands."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)


@pytest.fixture
async def loop(monkeypatch):
    return Loop(monkeypatch)


async def test_a_kernels_own_portion_is_charged_to_nobody_else(loop):
    everybody = LoopShare(SHARE)
    quiet = Portion(everybody)
    assert quiet.charge(OWN_BURST_SECONDS)
    assert everybody._paid_until == 0.0
    loop.now += 0.002 / OWN_SHARE
    assert quiet.charge(0.002)
    assert everybody._paid_until == 0.0
    quiet.charge(0.002)
    assert everybody._paid_until == pytest.approx(loop.now + 0.002 / SHARE)


async def test_however_many_flood_they_get_the_share_together_and_a_quiet_one_does_not_wait(loop):
    everybody = LoopShare(SHARE)
    floods = [Portion(everybody) for _ in range(6)]
    for flood in floods:
        flood.charge(OWN_BURST_SECONDS)
    began, turns = loop.now, []

    def work(number):
        turns.append(number)
        floods[number].charge(0.001)
        floods[number].wait(lambda: work(number))

    for number in range(6):
        work(number)
    while loop.now < began + 1.0:
        loop.now += 0.001
        await asyncio.sleep(0)
    worked = len(turns) * 0.001
    assert worked == pytest.approx(SHARE + 6 * OWN_SHARE, abs=BURST_SECONDS + 6 * 0.001)
    assert max(map(turns.count, range(6))) - min(map(turns.count, range(6))) <= 1
    assert Portion(everybody).charge(OWN_BURST_SECONDS), "who sends little is served at once"


async def test_who_has_left_is_not_called(loop):
    everybody, called = LoopShare(SHARE), []
    first, second = (lambda: called.append(1)), (lambda: called.append(2))
    everybody.wait(first)
    everybody.wait(second)
    everybody.leave(first)
    await until(lambda: called)
    assert called == [2]


def test_room_is_given_up_to_its_size_and_comes_back():
    room = BlobRoom(100)
    assert (room.take(60), room.take(41), room.take(40)) == (True, False, True)
    room.give(60)
    assert room.take(60)
