"""`kernel-gateway policy`: whether a file of policies can be used, and which rule decides a question, and why."""

import argparse
import json
import math
import time
from dataclasses import dataclass
from typing import Any

import httpx2

from catalog import Catalog
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import ConfigError
from kernel_gateway.gateway import SCOPES
from kernel_gateway.policy import golden
from kernel_gateway.policy.actions import CALL
from kernel_gateway.policy.authorizer import CedarAuthorizer, Finding
from kernel_gateway.policy.policies import Source
from kernel_gateway.policy.request import Context, Request
from kernel_gateway.policy.risk import risk_of
from kernel_gateway.policy.rules import Rule
from kernel_gateway.policy.together import unseen
from kernel_gateway.served import Served, compiler_of
from kernel_gateway.settings import Settings
from kernel_gateway.store.keys import Keys


async def check(settings: Settings, options: argparse.Namespace) -> int:
    """The files given, beside those that are configured, as `serve` would take them. Raises PolicyError."""
    files = list(dict.fromkeys((*settings.policy.files, *options.files)))
    policy = settings.policy.model_copy(update={"files": tuple(files)})
    authorizer = _authorizer(settings, Source.read(policy), secret=b"")
    print(
        f"ok: {len(authorizer.rules.rules)} rules, the baseline and {len(files)} of your files, "
        f"and all {len(golden.table())} golden decisions hold; policy {authorizer.digest[:12]}"
    )
    return 0


async def explain(settings: Settings, options: argparse.Namespace) -> int:
    """As the service would decide with the policy as it is on disk."""
    served = Served.of(settings)
    question = _question(settings, served.catalog, options)
    secret = Keys(settings.store.folder).secret("canary")
    authorizer = _authorizer(settings, Source.read(settings.policy), secret=secret)
    hidden = unseen(served.roles, question)
    finding = Finding(hidden) if hidden else authorizer.explain(question)
    shown = Explanation(question, finding, authorizer.digest)
    print(json.dumps(shown.json()) if options.json else shown.text())
    return 0


@dataclass(frozen=True, slots=True)
class Explanation:
    question: Request
    finding: Finding
    policy: str

    def json(self) -> dict[str, Any]:
        decision = self.finding.decision
        return {
            "allowed": decision.allowed,
            "rule": decision.rule,
            "code": decision.code,
            "reason": decision.reason,
            "approver": decision.approver,
            "deciding": [_shown(rule) for rule in self.finding.deciding],
            "broken": [_shown(rule) for rule in self.finding.broken],
            "considered": self.finding.considered,
            "policy": self.policy,
        }

    def text(self) -> str:
        decision, question = self.finding.decision, self.question
        asked = f"`{question.action}` {question.resource}".rstrip()
        lines = [f"{'allowed' if decision.allowed else 'denied'} by `{decision.rule}`: {question.principal} {asked}"]
        if not decision.allowed:
            lines.append(f"  the caller is told: {decision.code}: {decision.reason}")
        if decision.approver:
            whose = {"user": "the asking user's own", "person": "another person's"}[decision.approver]
            lines.append(f"  a yes would allow it: {whose}")
        for word, rules in (("decides", self.finding.deciding), ("cannot be judged", self.finding.broken)):
            lines += [
                f"  {word}: {'permit' if rule.permits else 'forbid'} `{rule.id}` of {rule.source}" for rule in rules
            ]
        return "\n".join([*lines, f"  {self.finding.considered} rules can apply; policy {self.policy[:12]}"])


def _shown(rule: Rule) -> dict[str, str]:
    return {"id": rule.id, "effect": "permit" if rule.permits else "forbid", "source": rule.source}


def _authorizer(settings: Settings, source: Source, *, secret: bytes) -> CedarAuthorizer:
    return compiler_of(Served.of(settings), settings.limits, secret).compile(source)


def _question(settings: Settings, served: Catalog, options: argparse.Namespace) -> Request:
    """Harmless but for what the options say: nothing counted yet, a live token that carries the scope needed."""
    name = options.operation
    operation = served.get(name)
    if operation is None and name not in SCOPES:
        near = " or ".join(f"`{each}`" for each in served.nearest(name)) or ", ".join(SCOPES)
        raise ConfigError(f"`{name}` is no operation and no action of the service; did you mean {near}?")
    scope = operation.scope if operation else SCOPES[name]
    held = frozenset(options.scope.split()) if options.scope is not None else frozenset((scope,))
    principal = Principal("", options.org, options.subject, options.client, options.role, held, math.inf)
    upstream = settings.upstreams.get(operation.server) if operation else None
    context = Context(
        now=time.time(),
        has_turn=True,
        calls_this_cell=0,
        calls_this_session=0,
        writes_this_cell=0,
        writes_this_session=0,
        risk=options.risk or (risk_of(operation) if operation else "low"),
        approved=options.approved,
        kill_switch=False,
        has_idempotency_key=True,
        argument_bytes=2,
        host=httpx2.URL(upstream.base_url).netloc.decode() if upstream else "",
    )
    return Request(principal, CALL if operation else name, name if operation else "", scope, context)
