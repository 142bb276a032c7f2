"""Refusals anybody can cause cost a bounded number of events."""

import asyncio

from kernel_gateway.audit.refusals import Refusals


async def test_a_thousand_refusals_are_two_events_that_count_them_all(monkeypatch):
    monkeypatch.setattr("kernel_gateway.audit.refusals.INTERVAL_SECONDS", 0.01)
    events = []
    refusals = Refusals(events.append, "door")
    for _ in range(1000):
        refusals.count("unauthenticated")
    refusals.count("misdirected")
    while len(events) < 3:
        await asyncio.sleep(0)
    assert [(event.code, event.count) for event in events] == [
        ("unauthenticated", 1),
        ("misdirected", 1),
        ("unauthenticated", 999),
    ]


async def test_the_first_refusal_is_written_at_once():
    events = []
    Refusals(events.append, "door").count("denied")
    assert [(event.code, event.rule, event.count) for event in events] == [("denied", "door", 1)]
