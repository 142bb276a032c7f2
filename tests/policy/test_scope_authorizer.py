"""The pure authorizer: nothing is allowed without a live token, the scope, the turn and room under both caps."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import CODES
from kernel_gateway.policy.authorizer import ACTIONS, ScopeAuthorizer
from kernel_gateway.policy.request import Context, Request

AUTHORIZER = ScopeAuthorizer(max_calls_per_cell=20, max_calls_per_session=100)
PRINCIPAL = Principal("https://issuer.test", "acme", "ada", "agent", "dev", frozenset({"image.upload"}), 1000.0)


def request(**changes):
    context = {"now": 500.0} | {key: changes.pop(key) for key in list(changes) if key in Context.__slots__}
    return replace(Request(PRINCIPAL, "call", "image_ops:uploads_init", "image.upload", Context(**context)), **changes)


def test_a_held_scope_with_a_live_token_and_room_is_allowed():
    decision = AUTHORIZER.decide(request())
    assert decision.allowed and decision.rule == "scope_held"


def test_a_missing_scope_is_named():
    decision = AUTHORIZER.decide(request(scope="image.cleanup"))
    assert (decision.allowed, decision.rule, decision.code) == (False, "scope", "denied")
    assert "`image.cleanup`" in decision.reason


@pytest.mark.parametrize(("now", "allowed"), [(999.999, True), (1000.0, False), (1000.001, False)])
def test_authority_ends_with_the_token(now, allowed):
    decision = AUTHORIZER.decide(request(now=now))
    assert decision.allowed is allowed
    assert allowed or (decision.rule, decision.code) == ("expired", "denied")


@pytest.mark.parametrize(
    ("count", "cap", "rule"),
    [("calls_this_cell", 20, "calls_per_cell"), ("calls_this_session", 100, "calls_per_session")],
)
def test_the_call_that_fills_a_cap_is_the_last(count, cap, rule):
    assert AUTHORIZER.decide(request(**{count: cap - 1})).allowed
    decision = AUTHORIZER.decide(request(**{count: cap}))
    assert (decision.allowed, decision.rule, decision.code) == (False, rule, "limited")
    assert str(cap) in decision.reason


def test_caps_count_calls_only():
    assert AUTHORIZER.decide(request(action="blob", calls_this_cell=20, calls_this_session=100)).allowed


@pytest.mark.parametrize("action", ["call", "blob"])
def test_nothing_is_called_without_the_turn(action):
    decision = AUTHORIZER.decide(request(action=action, has_turn=False))
    assert (decision.allowed, decision.rule, decision.code) == (False, "no_turn", "denied")


@pytest.mark.parametrize("change", [{"action": "fly"}, {"action": ""}, {"scope": ""}])
def test_what_no_rule_names_is_denied(change):
    decision = AUTHORIZER.decide(request(**change))
    assert (decision.allowed, decision.rule) == (False, "default_deny")


def test_an_empty_scope_in_a_token_opens_nothing():
    principal = replace(PRINCIPAL, scopes=frozenset({""}))
    assert not AUTHORIZER.decide(request(principal=principal, scope="")).allowed


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-5, 200)
words = st.sampled_from(["", "image.upload", "image.cleanup", "kernel.execute"])


@given(
    now=numbers,
    expires_at=numbers,
    cell=numbers,
    session=numbers,
    has_turn=st.booleans(),
    action=st.sampled_from([*sorted(ACTIONS), "", "fly"]),
    scope=words,
    scopes=st.frozensets(words),
)
def test_never_allowed_without_every_condition(now, expires_at, cell, session, has_turn, action, scope, scopes):
    principal = replace(PRINCIPAL, scopes=scopes, expires_at=expires_at)
    context = Context(now, cell, session, has_turn)
    decision = AUTHORIZER.decide(Request(principal, action, "image_ops:uploads_init", scope, context))
    held = now < expires_at and action in ACTIONS and scope != "" and scope in scopes
    turn = has_turn or action not in ("call", "blob")
    room = action != "call" or (cell < 20 and session < 100)
    assert decision.allowed is (held and turn and room)
    assert decision.rule
    if not decision.allowed:
        assert decision.code in CODES and decision.reason and "\n" not in decision.reason


def test_a_time_that_is_no_number_denies():
    assert not AUTHORIZER.decide(request(now=math.nan)).allowed
    assert not AUTHORIZER.decide(request(principal=replace(PRINCIPAL, expires_at=math.nan))).allowed
