"""What waits for an answer comes back from the store as it was, whoever asked."""

from kernel_gateway.approvals.pending import CELL, Pending, read, written
from kernel_gateway.approvals.token import Terms
from kernel_gateway.auth.delegation import together
from kernel_gateway.auth.principal import Principal

ADA = Principal("https://i.test", "acme", "ada", "agent", "dev", frozenset({"a", "b"}), 2000.0, "mcp")
BOB = Principal("https://i.test", "acme", "bob", "agent", "ops", frozenset({"b", "c"}), 1000.0, "mcp")


def test_a_question_of_two_together_is_still_one_of_two():
    for asker in (ADA, together(BOB, ADA)):
        terms = Terms("1", "ses_1", asker.identity, tuple(sorted(asker.scopes)), asker.role, "0:0", "c", "p", {"*": 1})
        pending = Pending("apr_1", CELL, "person", asker, terms, "may it?", "high", ("store:wipe",), 1.0, 2.0)
        assert read(written(pending)) == pending
