"""Two authorities at once: allowed is what each of them alone would be allowed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.auth.delegation import together
from kernel_gateway.auth.principal import Principal
from kernel_gateway.policy.request import Context, Decision, Request
from kernel_gateway.policy.roles import Roles
from kernel_gateway.policy.together import Together

ADA = Principal("https://i.test", "acme", "ada", "agent", "dev", frozenset({"s"}), 2000.0)
BOB = replace(ADA, subject="bob", role="ops")
ROLES = Roles(servers={"dev": ("store",), "ops": ("*",), "ui": ()})
ALLOWED, DENIED = Decision(True, "yes"), Decision(False, "no", "denied", "not this one")
WAITS = Decision(False, "needs_user", "approval_required", "this has to be approved first", "user")
WAITS_LONGER = replace(WAITS, rule="needs_person", approver="person")


class BySubject:
    """A policy that has its mind made up about each subject."""

    digest = "of these"

    def __init__(self, **decisions):
        self.decisions, self.asked = decisions, []

    def decide(self, request):
        self.asked.append(request.principal.subject)
        return self.decisions[request.principal.subject]


def asked(principal, action="call", resource="store:look"):
    return Request(principal, action, resource, "s", Context.outside(1000.0))


@given(*[st.sampled_from((ALLOWED, DENIED, WAITS, WAITS_LONGER))] * 2)
def test_what_one_of_two_may_not_do_is_not_done(ada, bob):
    decision = Together(BySubject(ada=ada, bob=bob), ROLES).decide(asked(together(BOB, ADA)))
    assert decision.allowed is (ada.allowed and bob.allowed)
    if DENIED in (ada, bob):
        assert decision == DENIED  # an approval would not help
    elif WAITS_LONGER in (ada, bob):
        assert decision == WAITS_LONGER


def test_who_is_alone_is_asked_about_once():
    policy = BySubject(ada=ALLOWED)
    assert Together(policy, ROLES).decide(asked(ADA)) == ALLOWED
    assert policy.asked == ["ada"]


@pytest.mark.parametrize("action", ["call", "blob_read", "blob_write"])
@pytest.mark.parametrize(
    ("principal", "server", "allowed"),
    [
        (ADA, "store", True),
        (ADA, "vault", False),
        (BOB, "vault", True),
        (together(BOB, ADA), "vault", False),
        (replace(ADA, role="ui"), "store", False),
        (replace(ADA, role="nobody"), "store", False),
    ],
)
def test_a_server_that_a_role_does_not_show_is_out_of_reach(action, principal, server, allowed):
    policy = BySubject(ada=ALLOWED, bob=ALLOWED)
    resource = f"{server}:look" if action == "call" else server
    decision = Together(policy, ROLES).decide(asked(principal, action, resource))
    assert (decision.allowed, decision.code) == (allowed, "" if allowed else "denied")
    assert allowed or decision.rule == "role"


def test_a_role_takes_no_session_away():
    policy = BySubject(ada=ALLOWED)
    for action in ("search", "execute", "read", "delete"):
        assert Together(policy, ROLES).decide(asked(replace(ADA, role="ui"), action, "ses_1")).allowed


def test_what_was_approved_under_other_roles_is_void():
    policy = BySubject()
    assert Together(policy, ROLES).digest == Together(policy, ROLES.model_copy()).digest
    assert Together(policy, ROLES).digest != Together(policy, Roles(servers={"dev": ("*",)})).digest
