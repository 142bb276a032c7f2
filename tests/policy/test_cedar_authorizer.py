"""Nothing is allowed without a live token, the scope, the turn, room under the caps, and every word of the context."""

import math
from dataclasses import fields, replace

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import CODES
from kernel_gateway.policy import authorizer as module
from kernel_gateway.policy import golden
from kernel_gateway.policy.actions import ACTIONS, DOORS, GROUPS
from kernel_gateway.policy.authorizer import MAX_ANSWERS
from kernel_gateway.policy.entities import MAX_VIEWS
from kernel_gateway.policy.request import Context
from kernel_gateway.policy.rule_set import RuleSet
from kernel_gateway.policy.rules import SCHEMA, baseline
from kernel_gateway.policy.slices import policy_set
from tests.policy.questions import CONTEXT, PRINCIPAL, authorizer, question

AUTHORIZER = authorizer()
ALLOWED = [row for row in golden.table() if row.allowed]


def decide(*words, **changes):
    return AUTHORIZER.decide(question(*words, **changes))


def verdict(decision):
    return decision.allowed, decision.rule, decision.code


def test_a_held_scope_with_a_live_token_and_room_is_allowed():
    assert verdict(decide()) == (True, "scope_held", "")


def test_a_missing_scope_is_named():
    decision = decide(principal={"scopes": frozenset({"golden.make"})})
    assert verdict(decision) == (False, "scope", "denied")
    assert decision.reason == "the scope `golden.look` is missing; ask for a token that carries it"


@pytest.mark.parametrize(("now", "allowed"), [(1000.999, True), (1001.0, False), (1001.001, False)])
def test_authority_ends_with_the_token(now, allowed):
    decision = decide(now=now)
    assert decision.allowed is allowed
    assert allowed or (decision.rule, decision.code) == ("expired", "denied")


@pytest.mark.parametrize(
    ("count", "cap", "rule"),
    [("calls_this_cell", 20, "calls_per_cell"), ("calls_this_session", 100, "calls_per_session")],
)
def test_the_call_that_fills_a_cap_is_the_last(count, cap, rule):
    assert decide(**{count: cap - 1}).allowed
    decision = decide(**{count: cap})
    assert verdict(decision) == (False, rule, "limited")
    assert str(cap) in decision.reason


def test_caps_count_calls_only():
    assert decide("blob_read", "golden", "golden.look", calls_this_cell=20, calls_this_session=100).allowed


@pytest.mark.parametrize(
    "asked", [("call", "golden:look"), ("blob_read", "golden", "golden.look"), ("blob_write", "golden", "golden.make")]
)
def test_nothing_is_called_without_the_turn(asked):
    assert decide(*asked).allowed
    assert verdict(decide(*asked, has_turn=False)) == (False, "no_turn", "denied")


@pytest.mark.parametrize(
    "asked",
    [
        ("fly", "golden:look", "golden.look"),
        ("", "golden:look", "golden.look"),
        ("use", "", "kernel.execute"),  # a group of the schema is no action of a door
        ("call", "golden:look", ""),
        ("call", "golden:unknown", "golden.look"),
        ("call", "", "golden.look"),
        ("blob_read", "elsewhere", "golden.look"),
    ],
)
def test_what_no_rule_names_is_denied(asked):
    decision = decide(*asked)
    assert verdict(decision) == (False, "default_deny", "denied")
    assert decision.reason and "\n" not in decision.reason


def test_an_empty_scope_in_a_token_opens_nothing():
    assert not decide(scope="", principal={"scopes": frozenset({""})}).allowed


def test_an_operators_permit_does_not_open_what_a_token_does_not_carry():
    generous = authorizer('@id("all") permit (principal, action, resource);')
    assert generous.decide(question()).allowed
    for change in ({"principal": {"scopes": frozenset()}}, {"scope": ""}, {"now": 2000.0}, {"has_turn": False}):
        assert not generous.decide(question(**change)).allowed


@pytest.mark.parametrize("door", sorted(DOORS))
def test_every_action_of_the_outer_door_needs_its_scope(door):
    assert decide(door, "").allowed
    assert verdict(decide(door, "", principal={"scopes": frozenset()})) == (False, "scope", "denied")


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-5, 200)
counts = st.integers(-5, 200)
words = st.sampled_from(["", "golden.look", "golden.make", "kernel.execute"])


@given(
    now=numbers,
    expires_at=numbers,
    cell=counts,
    session=counts,
    has_turn=st.booleans(),
    action=st.sampled_from([*sorted(ACTIONS), "", "fly"]),
    scope=words,
    scopes=st.frozensets(words),
)
def test_never_allowed_without_every_condition(now, expires_at, cell, session, has_turn, action, scope, scopes):
    principal = {"scopes": scopes, "expires_at": expires_at}
    resource = "golden" if action.startswith("blob") else "golden:look"
    context = {"now": now, "calls_this_cell": cell, "calls_this_session": session, "has_turn": has_turn}
    decision = decide(action, resource, scope, principal=principal, **context)
    held = now < expires_at and action in ACTIONS and scope != "" and scope in scopes
    turn = has_turn or action not in ("call", "blob_read", "blob_write")
    room = action != "call" or (cell < 20 and session < 100)
    assert decision.allowed is (held and turn and room)
    assert decision.rule
    if not decision.allowed:
        assert decision.code in CODES and decision.reason and "\n" not in decision.reason


def test_a_time_that_is_no_number_denies():
    assert not decide(now=math.nan).allowed
    assert not decide(principal={"expires_at": math.nan}).allowed


@pytest.mark.parametrize("value", [None, 1.0, math.nan, True, "1", 2**63, -(2**63) - 1])
@pytest.mark.parametrize("count", ["calls_this_cell", "writes_this_session", "argument_bytes"])
def test_a_count_that_is_no_whole_number_denies(count, value):
    assert verdict(decide(**{count: value})) == (False, "invalid_request", "denied")


def test_a_name_that_is_no_unicode_denies():
    assert not decide(principal={"subject": "\ud800"}).allowed
    assert not decide(scope="\ud800", principal={"scopes": frozenset({"\ud800"})}).allowed


@pytest.mark.parametrize("row", ALLOWED, ids=lambda row: row.name)
@pytest.mark.parametrize("name", [each.name for each in fields(Context)])
def test_a_context_without_one_of_its_values_never_allows(row, name):
    """The same for whatever is allowed: what a door did not say is not taken for harmless."""
    lacking = replace(row, context=replace(row.context, **{name: None}))
    assert not golden.decide(RuleSet(baseline()), lacking).allowed


@given(
    row=st.sampled_from(ALLOWED),
    left_out=st.sets(st.sampled_from(sorted(module._context(question()))), min_size=1),
)
def test_a_question_without_one_of_its_keys_never_allows_in_the_engine_itself(row, left_out):
    request = question(row.action, row.resource, row.scope, **{name: getattr(row.context, name) for name in _NAMES})
    context = {key: value for key, value in module._context(request).items() if key not in left_out}
    decided = cedarpy.is_authorized(
        {
            "principal": {"type": "Kernel::Session", "id": "asking"},
            "action": {"type": "Kernel::Action", "id": "read"},
            "resource": {"type": "Kernel::Operation", "id": "golden:look"},
            "context": context,
        },
        _RULES,
        AUTHORIZER._views.of(PRINCIPAL).entities,
        SCHEMA,
    )
    assert decided.decision is not cedarpy.Decision.Allow


_NAMES = [each.name for each in fields(Context)]
_RULES = policy_set(baseline())


def test_a_rule_that_cannot_be_judged_denies_and_is_named():
    broken = authorizer(
        '@id("sum") @reason("too much") forbid (principal, action, resource) when '
        "{ context.argument_bytes + 9223372036854775807 > 10 };"
    )
    assert broken.decide(question(argument_bytes=0)).rule == "sum"
    decision = broken.decide(question(argument_bytes=1))
    assert verdict(decision) == (False, "broken_rule", "denied") and "`sum`" in decision.reason


def test_where_several_forbid_the_first_is_told_and_what_a_yes_would_allow_comes_last():
    many = question(resource="golden:wipe", risk="critical", calls_this_cell=20)
    finding = AUTHORIZER.explain(many)
    assert finding.decision.rule == "calls_per_cell"
    assert [rule.id for rule in finding.deciding] == ["calls_per_cell", "needs_person", "needs_user"]
    later = authorizer('@id("own") @reason("not today") forbid (principal, action, resource);')
    assert later.decide(question(risk="critical")).rule == "own"


def test_who_has_to_approve_is_in_the_decision():
    asked = [decide("execute", "", risk=risk) for risk in ("low", "medium", "high", "critical")]
    assert [(each.code, each.approver) for each in asked] == [
        ("", ""),
        ("", ""),
        ("approval_required", "user"),
        ("approval_required", "person"),
    ]
    assert all(decide("execute", "", risk=risk, approved=True).allowed for risk in ("high", "critical"))


@pytest.mark.parametrize("threshold", ["low", "medium", "high", "critical"])
def test_the_threshold_says_what_runs_by_itself(threshold):
    risks = ["low", "medium", "high", "critical"]
    judge = authorizer(auto_approve_risk=threshold)
    by_themselves = [risk for risk in risks if judge.decide(question("execute", "", risk=risk)).allowed]
    assert by_themselves == risks[: risks.index(threshold) + 1]


@given(subject=st.text(max_size=20), organisation=st.text(max_size=20), role=st.text(max_size=20))
def test_a_name_is_data_whatever_it_holds(subject, organisation, role):
    """No name can end a text and go on as policy."""
    picky = authorizer(
        '@id("root") @reason("no") forbid (principal in Kernel::Role::"root", action, resource);'
        '@id("evil") @reason("no") forbid (principal in Kernel::Organisation::"evil", action, resource);'
    )
    decision = picky.decide(question(principal={"subject": subject, "organisation": organisation, "role": role}))
    assert decision.allowed is (role != "root" and organisation != "evil")


def test_a_role_an_organisation_a_server_and_an_attribute_can_be_forbidden():
    text = """
    @id("ui") @reason("no") forbid (principal in Kernel::Role::"ui", action, resource);
    @id("org") @reason("no") forbid (principal in Kernel::Organisation::"other", action, resource);
    @id("srv") @reason("no") forbid (principal, action == Kernel::Action::"write", resource in Kernel::Server::"golden")
      when { context.argument_bytes < 100 };
    @id("big") @reason("no") forbid (principal, action, resource) when { context.argument_bytes > 1000 };
    """
    own = authorizer(text)
    assert own.decide(question()).allowed
    assert own.decide(question(principal={"role": "ui"})).rule == "ui"
    assert own.decide(question(principal={"organisation": "other"})).rule == "org"
    assert own.decide(question(resource="golden:make")).rule == "srv"
    assert own.decide(question(argument_bytes=1001)).rule == "big"


def test_actions_are_in_their_groups_as_the_schema_says():
    """Each group by a rule of its own, asked of Cedar with every rule and not with a slice."""
    groups = sorted({group for each in GROUPS.values() for group in each})
    text = "".join(
        f'@id("{group}") @reason("no") forbid (principal, action in Kernel::Action::"{group}", resource);'
        for group in groups
    )
    whole = authorizer(text)
    rules = whole.rules.rules
    entities = whole._views.of(PRINCIPAL).entities
    for action, within in GROUPS.items():
        kind = "Operation" if "operate" in within else "Server" if "in_cell" in within else "Gateway"
        id_ = {"Operation": "golden:look", "Server": "golden", "Gateway": "this"}[kind]
        decided = cedarpy.is_authorized(
            {
                "principal": {"type": "Kernel::Session", "id": "asking"},
                "action": {"type": "Kernel::Action", "id": action},
                "resource": {"type": f"Kernel::{kind}", "id": id_},
                "context": module._context(question()),
            },
            policy_set(rules),
            entities,
            SCHEMA,
        )
        fired = {rules[int(each.removeprefix("policy"))].id for each in decided.diagnostics.reasons}
        assert not decided.diagnostics.errors
        assert fired & set(groups) == within, action


def test_views_of_callers_are_kept_up_to_a_number_and_made_again():
    views = AUTHORIZER._views
    for number in range(MAX_VIEWS + 5):
        assert decide(principal={"subject": f"s{number}"}).allowed
    assert len(views._views) == MAX_VIEWS
    assert decide(principal={"subject": "s0"}).allowed


def test_cedar_is_asked_the_same_question_once_and_anew_when_any_word_of_it_is_another(monkeypatch):
    asked, ask = [], cedarpy.is_authorized
    monkeypatch.setattr(cedarpy, "is_authorized", lambda *words: asked.append(words) or ask(*words))
    fresh = authorizer()
    assert fresh.decide(question()) == fresh.decide(question(now=1000.5))  # the token lives, at both times
    assert len(asked) == 1
    others = [
        question(resource="golden:make"),
        question(action="blob_read", resource="golden", scope="golden.look"),
        question(principal={"subject": "bob"}),
        question(now=1001.0),
        question(calls_this_cell=1),
        question(scope="golden.make"),
    ]
    first = [fresh.decide(each) for each in others]
    assert len(asked) == 1 + len(others)
    assert [fresh.decide(each) for each in others] == first == [authorizer().decide(each) for each in others]


def test_answers_are_kept_up_to_a_number_and_asked_for_again():
    fresh = authorizer()
    for number in range(MAX_ANSWERS + 5):
        assert fresh.decide(question(argument_bytes=number)).allowed
    (view,) = fresh._views._views.values()
    assert len(view.answers) == MAX_ANSWERS
    assert fresh.decide(question(argument_bytes=0)).allowed


def test_the_digest_covers_rules_settings_and_caps_and_nothing_of_a_caller():
    same = authorizer()
    assert same.digest == AUTHORIZER.digest
    others = [
        authorizer('@id("own") @reason("no") forbid (principal, action, resource) when { context.risk > 5 };'),
        authorizer(rollout="canary"),
        authorizer(blocked_fields=("x",)),
        authorizer(max_calls=19),
    ]
    assert len({AUTHORIZER.digest, *(each.digest for each in others)}) == 5
    AUTHORIZER.decide(question(principal={"subject": "somebody"}))
    assert AUTHORIZER.digest == same.digest


def test_an_answer_comes_with_the_fields_to_take_out():
    assert authorizer(blocked_fields=("Secret",)).decide(question()).blocked_fields == frozenset({"secret"})
    assert decide().blocked_fields == frozenset()


def test_a_principal_is_not_confused_with_another_of_the_same_name_elsewhere():
    other = Principal(**{each: getattr(PRINCIPAL, each) for each in Principal.__slots__} | {"organisation": "other"})
    own = authorizer('@id("o") @reason("no") forbid (principal in Kernel::Organisation::"other", action, resource);')
    assert own.decide(replace(question(), principal=other)).rule == "o"
    assert own.decide(question()).allowed
    assert own.decide(replace(question(), context=replace(CONTEXT, approved=True))).allowed
