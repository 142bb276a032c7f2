"""Less authority, never more: one property for each way a session comes by what it may do."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.auth.delegation import NEVER_IN_A_SESSION, OF_ANY_SESSION, delegate, opener, together
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError

ADA = Principal("https://i.test", "acme", "ada", "agent", "dev", frozenset({"a.read", "kernel.execute"}), 2000.0)
BOB = replace(ADA, subject="bob", client="console", role="ops", expires_at=1000.0, front_end="rest")

SERVICE = ("kernel.search", "kernel.execute", "kernel.approve", "kernel.admin")
SCOPES = st.frozensets(st.sampled_from(("a.read", "a.write", "b.read", "b.write", "b.delete", *SERVICE)))
NAMES = st.sampled_from(("delegate_a", "delegate_b", "delegate_deploy", "delegate_c"))
FLAGS = st.dictionaries(NAMES, SCOPES.filter(bool).map(lambda scopes: scopes - {*SERVICE} or frozenset({"a.write"})))
PRINCIPALS = st.builds(
    replace,
    st.sampled_from((ADA, BOB)),
    subject=st.sampled_from(("ada", "bob", "eve")),
    role=st.sampled_from(("dev", "ops", "admin")),
    scopes=SCOPES,
    expires_at=st.floats(0, 9000),
)


@given(PRINCIPALS, st.lists(NAMES), FLAGS, SCOPES)
def test_a_delegation_is_never_more_than_its_principal_and_never_more_than_was_asked_for(who, wanted, flags, reading):
    given_ = delegate(who, wanted, flags, reading)
    held = given_.principal.scopes
    asked = frozenset().union(*(flags.get(flag, frozenset()) for flag in wanted))
    assert held <= who.scopes - NEVER_IN_A_SESSION
    assert held <= reading | OF_ANY_SESSION | asked
    assert replace(given_.principal, scopes=who.scopes) == who
    assert sorted({*given_.granted, *given_.skipped}) == sorted({*wanted})
    assert not {*given_.granted} & {*given_.skipped}
    assert all(flags[flag] - NEVER_IN_A_SESSION <= held for flag in given_.granted)
    assert all(flag not in flags or not flags[flag] <= who.scopes for flag in given_.skipped)


@given(PRINCIPALS, SCOPES, st.lists(NAMES), NAMES, FLAGS, SCOPES)
def test_who_holds_less_or_asks_for_less_hands_on_no_more(who, fewer, wanted, another, flags, reading):
    less = replace(who, scopes=who.scopes & fewer)
    held = delegate(who, wanted, flags, reading).principal.scopes
    assert delegate(less, wanted, flags, reading).principal.scopes <= held
    assert held <= delegate(who, [*wanted, another], flags, reading).principal.scopes


@given(PRINCIPALS, PRINCIPALS, PRINCIPALS)
def test_two_together_hold_what_both_hold_and_need_everyone(who, owner, first):
    owner = together(owner, first)  # whose session was somebody else's before
    both = together(who, owner)
    assert both.scopes == who.scopes & owner.scopes
    assert both.identity == who.identity and both.role == who.role and both.expires_at == who.expires_at
    assert {(each.identity, each.role) for each in both.authorities} == {
        (each.identity, each.role) for each in (who, *owner.authorities)
    }
    assert all(each.scopes <= both.scopes and each.expires_at == who.expires_at for each in both.authorities)
    assert all(not each.alongside for each in both.alongside)
    assert together(both, owner) == both


def test_the_same_caller_in_the_same_role_needs_nobody_else():
    later = replace(ADA, scopes=ADA.scopes | {"a.write"}, expires_at=5000.0)
    assert together(later, ADA) == replace(later, scopes=ADA.scopes)
    assert together(replace(later, role="admin"), ADA).alongside == (replace(ADA, expires_at=5000.0),)


def test_across_organisations_there_is_no_such_session():
    stranger = replace(BOB, organisation="umbrella")
    for pair in ((stranger, ADA), (ADA, stranger)):
        with pytest.raises(GatewayError) as caught:
            together(*pair)
        assert caught.value.code == "not_found" and "umbrella" not in caught.value.message


def test_no_session_may_approve_whatever_its_opener_holds():
    holder = replace(ADA, scopes=ADA.scopes | {"kernel.approve"})
    assert "kernel.approve" not in opener(holder).scopes
    flags = {"delegate_all": frozenset({"kernel.approve"})}
    assert "kernel.approve" not in delegate(holder, ["delegate_all"], flags, frozenset()).principal.scopes
