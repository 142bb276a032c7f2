"""Refusals anybody can cause cost a bounded number of events."""

import asyncio

import pytest

from kernel_gateway.audit.refusals import Refusals
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError

UNKNOWN = GatewayError("unauthenticated", "who are you?")
ADA = Principal("i", "acme", "ada", "agent", "dev", frozenset(), 2000.0, "mcp")


async def test_a_thousand_refusals_are_two_events_that_count_them_all(monkeypatch):
    monkeypatch.setattr("kernel_gateway.audit.refusals.INTERVAL_SECONDS", 0.01)
    events = []
    refusals = Refusals(events.append)
    for _ in range(1000):
        refusals.count(UNKNOWN, "http")
    refusals.count(GatewayError("misdirected", "not here"), "http")
    while len(events) < 3:
        await asyncio.sleep(0)
    assert [(event.code, event.count) for event in events] == [
        ("unauthenticated", 1),
        ("misdirected", 1),
        ("unauthenticated", 999),
    ]


async def test_the_first_refusal_is_written_at_once():
    events = []
    Refusals(events.append).count(UNKNOWN, "http")
    assert [(event.code, event.door, event.count) for event in events] == [("unauthenticated", "http", 1)]


async def test_who_wanted_what_and_what_stood_against_it_are_told_apart():
    events = []
    refusals = Refusals(events.append)
    for who, action, rule in ((ADA, "execute", "scope"), (ADA, "search", "scope"), (ADA, "search", "canary")):
        with pytest.raises(GatewayError), refusals.of(who, action, "ses_1"):
            raise GatewayError("denied", "no", rule=rule)
    told = [(event.organisation, event.subject, event.client, event.session_id) for event in events]
    assert told == [("acme", "ada", "agent", "ses_1")] * 3
    assert [(event.door, event.action, event.rule) for event in events] == [
        ("mcp", "execute", "scope"), ("mcp", "search", "scope"), ("mcp", "search", "canary"),
    ]  # fmt: skip


async def test_what_broke_is_no_refusal():
    events = []
    for code in ("internal", "sandbox", "kernel_died", "deadline"):
        with pytest.raises(GatewayError), Refusals(events.append).of(ADA, "execute"):
            raise GatewayError(code, "broken")
    assert events == []
