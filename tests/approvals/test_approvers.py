"""Who may answer for others: never who asks, never a client that runs cells."""

import dataclasses

import pytest

from kernel_gateway.approvals.approvers import is_told, why_not, without_approval
from kernel_gateway.approvals.pending import Pending
from kernel_gateway.approvals.token import Terms
from kernel_gateway.auth.principal import Principal

ADA = Principal("https://issuer.test", "acme", "ada", "agent", "dev", frozenset({"kernel.execute"}), 2e9)
BOB = dataclasses.replace(ADA, subject="bob", client="console", scopes=frozenset({"kernel.approve"}))
TERMS = Terms("x", "ses_1", ADA.identity, (), "dev", "0:0", "", "", {})
PENDING = Pending("apr_1", "cell", "person", ADA, TERMS, "Approve it?", "high", (), 1.0, 2.0)
AGENTS = {("acme", "agent")}


def test_another_person_of_the_organisation_may():
    assert is_told(PENDING, BOB)
    assert why_not(BOB, AGENTS, ()) == ""
    assert why_not(BOB, AGENTS, ("console",)) == ""


@pytest.mark.parametrize(
    "who",
    [
        dataclasses.replace(BOB, subject="ada"),
        dataclasses.replace(BOB, subject="ada", issuer="https://other.test"),
        dataclasses.replace(BOB, organisation="globex"),
    ],
)
def test_the_asker_and_strangers_are_not_even_told(who):
    assert not is_told(PENDING, who)


def test_a_question_for_the_user_is_nobody_elses():
    assert not is_told(dataclasses.replace(PENDING, approver="user"), BOB)


@pytest.mark.parametrize(
    ("who", "clients", "reason"),
    [
        (dataclasses.replace(BOB, scopes=frozenset({"kernel.admin"})), (), "kernel.approve"),
        (dataclasses.replace(BOB, client="agent"), (), "runs cells"),
        (BOB, ("desk",), "approvals.clients"),
        (dataclasses.replace(BOB, client="agent"), ("agent",), "runs cells"),
    ],
)
def test_without_the_scope_or_through_an_agents_client_nobody_does(who, clients, reason):
    assert reason in why_not(who, AGENTS, clients)


def test_the_authority_to_approve_never_enters_a_session():
    both = dataclasses.replace(ADA, scopes=frozenset({"kernel.execute", "kernel.approve"}))
    assert without_approval(both).scopes == {"kernel.execute"}
