"""The table of known answers: it holds, it covers every rule, and a set that breaks it is seen."""

import pytest

from kernel_gateway.policy import golden
from kernel_gateway.policy.rule_set import RuleSet
from kernel_gateway.policy.rules import PolicyError, baseline, parse

RULES = RuleSet(baseline())
TABLE = golden.table()
FORBIDS = [rule.id for rule in RULES.rules if not rule.permits]


def more(text):
    return RuleSet((*baseline(), *parse(text, "own.cedar")))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_golden_decision_comes_out_as_the_table_says(row):
    decision = golden.decide(RULES, row)
    assert (decision.allowed, decision.rule) == (row.allowed, row.rule)


def test_the_table_has_a_denial_for_every_rule():
    assert {row.rule for row in TABLE if not row.allowed} == {*FORBIDS, "invalid_request"}


def test_a_set_that_locks_everybody_out_is_refused():
    with pytest.raises(PolicyError, match="golden decision `a caller with the scope searches` would be denied"):
        golden.check(more('@id("own") @reason("no") forbid (principal, action, resource);'), TABLE)


def test_a_baseline_that_lost_a_rule_is_refused():
    for rule in ("expired", "no_turn", "kill_switch", "needs_user", "calls_per_cell"):
        with pytest.raises(PolicyError, match="would be allowed"):
            golden.check(RuleSet(tuple(each for each in RULES.rules if each.id != rule)), TABLE)


def test_operators_may_forbid_more_and_permit_what_they_like():
    golden.check(
        more('@id("own") @reason("no") forbid (principal, action in Kernel::Action::"operate", resource);'), TABLE
    )
    golden.check(more('@id("own") permit (principal, action, resource);'), TABLE)
    assert RULES.by_id["scope_held"].permits


def test_a_row_with_a_word_that_means_nothing_is_an_error():
    text = '[[decision]]\nname = "x"\naction = "search"\nallowed = true\nrule = "y"\ntypo = 1\n'
    with pytest.raises(ValueError, match="`x`: typo is no part of a golden decision"):
        golden.table(text)
