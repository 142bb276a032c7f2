"""Questions for an authorizer: a harmless one, with what a test changes."""

from dataclasses import replace

from kernel_gateway.policy import golden
from kernel_gateway.policy.authorizer import CedarAuthorizer
from kernel_gateway.policy.request import Request
from kernel_gateway.policy.rule_set import RuleSet
from kernel_gateway.policy.rules import baseline, parse
from kernel_gateway.policy.settings import PolicySettings

PRINCIPAL, CONTEXT = golden.table()[0].principal, golden.table()[0].context
CALLS_PER_CELL, CALLS_PER_SESSION = 20, 100
_BASELINE = RuleSet(baseline())


def question(action="call", resource="golden:look", scope=None, principal=None, **context):
    """`principal` are changes of the golden one, which holds every scope and whose token lives until 1001."""
    operation = golden.CATALOG.get(resource)
    if scope is None:
        scope = operation.scope if operation else "kernel.execute"
    return Request(replace(PRINCIPAL, **principal or {}), action, resource, scope, replace(CONTEXT, **context))


def authorizer(text="", **settings):
    """The baseline with more rules and other settings."""
    rules = RuleSet((*_BASELINE.rules, *parse(text, "own.cedar"))) if text else _BASELINE
    return CedarAuthorizer(
        rules,
        PolicySettings(**settings),
        golden.CATALOG,
        calls_per_cell=CALLS_PER_CELL,
        calls_per_session=CALLS_PER_SESSION,
        secret=b"secret",
    )
