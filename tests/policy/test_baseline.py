"""Every rule of the baseline both ways: it denies, and with nothing but its own reason gone it does not."""

import pytest

from kernel_gateway.policy.rules import baseline
from tests.policy.questions import authorizer, question

TRIAL = {"rollout": "pilot-read", "staging_hosts": ("golden.test",)}
DELETE = {"resource": "golden:wipe", "risk": "high", "approved": True}

# rule: settings and question that it denies, then what of each has to change
BOTH_WAYS = {
    "expired": ({}, {"now": 1001.0}, {}, {"now": 1000.0}),
    "disabled": ({"enabled": False}, {}, {"enabled": True}, {}),
    "kill_switch": ({}, {"kill_switch": True}, {}, {"kill_switch": False}),
    "default_deny": ({}, {"scope": ""}, {}, {"scope": "golden.look"}),
    "scope": ({}, {"scope": "golden.other"}, {}, {"scope": "golden.look"}),
    "no_turn": ({}, {"has_turn": False}, {}, {"has_turn": True}),
    "canary": ({"rollout": "canary", "canary_share": 0.0}, {}, {"canary_share": 1.0}, {}),
    "pilot_read": (TRIAL, {"resource": "golden:make"}, {}, {"resource": "golden:look"}),
    "pilot_host": (TRIAL, {"host": "live.test"}, {}, {"host": "golden.test"}),
    "blocked_operation": ({"blocked_operations": ("golden:look",)}, {}, {"blocked_operations": ("golden:make",)}, {}),
    "unlisted_operation": ({"allowed_operations": ("golden:make",)}, {}, {"allowed_operations": ("golden:*",)}, {}),
    "no_mutations": ({"allow_mutations": False}, {"resource": "golden:make"}, {}, {"resource": "golden:look"}),
    "read_only": ({"read_only_mode": True}, DELETE, {"read_only_mode": False}, {}),
    "calls_per_cell": ({}, {"calls_this_cell": 20}, {}, {"calls_this_cell": 19}),
    "calls_per_session": ({}, {"calls_this_session": 100}, {}, {"calls_this_session": 99}),
    "writes_per_cell": (
        {"rollout": "controlled-write"},
        {"resource": "golden:make", "writes_this_cell": 1},
        {},
        {"writes_this_cell": 0},
    ),
    "idempotency_key": ({}, {**DELETE, "has_idempotency_key": False}, {}, {"has_idempotency_key": True}),
    "needs_person": ({}, {"risk": "critical"}, {}, {"approved": True}),
    "needs_user": ({}, {"risk": "high"}, {}, {"risk": "medium"}),
}


def test_no_rule_is_left_out():
    assert set(BOTH_WAYS) == {rule.id for rule in baseline() if not rule.permits}


@pytest.mark.parametrize("rule", BOTH_WAYS)
def test_a_rule_denies_and_leaves_alone(rule):
    settings, asked, other_settings, otherwise = BOTH_WAYS[rule]
    denied = authorizer(**settings).decide(question(**asked))
    assert (denied.allowed, denied.rule) == (False, rule)
    assert denied.reason and denied.reason.isprintable()
    assert authorizer(**{**settings, **other_settings}).decide(question(**{**asked, **otherwise})).allowed


@pytest.mark.parametrize(
    ("settings", "cell", "session", "writes"),
    [
        ({}, 20, 100, 20),
        ({"max_calls": 7}, 7, 100, 7),
        ({"max_calls": 70}, 20, 100, 20),
        ({"rollout": "controlled-write"}, 5, 25, 1),
        ({"rollout": "controlled-write", "max_calls": 3}, 3, 25, 1),
        (
            {"rollout": "controlled-write", "controlled_calls_per_cell": 50, "controlled_writes_per_cell": 50},
            20,
            25,
            20,
        ),
        ({"rollout": "controlled-write", "controlled_writes_per_cell": 0}, 5, 25, 0),
    ],
)
def test_the_tightest_cap_holds_at_both_sides(settings, cell, session, writes):
    judge = authorizer(**settings)
    rules = {"calls_this_cell": cell, "calls_this_session": session}
    for count, cap in rules.items():
        assert judge.decide(question(**{count: cap - 1})).allowed
        assert judge.decide(question(**{count: cap})).code == "limited"
    write = {"resource": "golden:make", "risk": "medium"}
    if writes:
        assert judge.decide(question(**write, writes_this_cell=writes - 1)).allowed
    assert judge.decide(question(**write, writes_this_cell=writes)).rule == "writes_per_cell"
    assert judge.decide(question(writes_this_cell=writes)).allowed


def test_on_trial_a_server_counts_as_staging_with_its_port_in_whatever_case_it_is_written():
    trial = authorizer(rollout="pilot-read", staging_hosts=("Golden.Test:8443",))
    assert trial.decide(question(host="golden.test:8443")).allowed
    assert not trial.decide(question(host="golden.test")).allowed
    assert not authorizer(rollout="pilot-read").decide(question(host="")).allowed


def test_a_canary_takes_its_share_of_callers_and_the_same_ones_every_time():
    def chosen(share):
        judge = authorizer(rollout="canary", canary_share=share)
        asked = ((each, judge.decide(question("execute", "", principal={"subject": each}))) for each in subjects)
        return {each for each, decision in asked if decision.allowed}

    subjects = [f"user-{number}" for number in range(500)]
    tenth, half = chosen(0.1), chosen(0.5)
    assert 25 <= len(tenth) <= 80 and 200 <= len(half) <= 300
    assert tenth < half and chosen(0.1) == tenth
    assert chosen(0.0) == set() and len(chosen(1.0)) == 500


def test_outside_of_the_canary_ones_own_sessions_can_be_looked_at_and_stopped():
    judge = authorizer(rollout="canary", canary_share=0.0)
    decided = {door: judge.decide(question(door, "")).allowed for door in ("search", "execute", "create", "attach")}
    assert not any(decided.values())
    assert all(judge.decide(question(door, "")).allowed for door in ("read", "interrupt", "delete"))
