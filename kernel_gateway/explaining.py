"""Which rule would decide a question, and why: asked of a gateway that runs, or of the policy as it is on disk."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from catalog import Catalog
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.gateway import SCOPES
from kernel_gateway.limits.switch import Refusing
from kernel_gateway.limits.switched import RULE, STILL_ALLOWED, refusal
from kernel_gateway.policy.actions import CALL
from kernel_gateway.policy.authorizer import CedarAuthorizer, Finding
from kernel_gateway.policy.request import Context, Decision, Request
from kernel_gateway.policy.risk import risk_of
from kernel_gateway.policy.roles import Roles
from kernel_gateway.policy.rules import Rule
from kernel_gateway.policy.settings import RiskName
from kernel_gateway.policy.together import unseen


class Asked(BaseModel):
    """Who asks for what: nothing counted yet, and with a live token that has the scope needed, but for what is said."""

    model_config = ConfigDict(extra="forbid", strict=True)

    subject: str = Field(min_length=1, max_length=256)
    operation: str = Field(min_length=1, max_length=256)
    """An operation's id, or an action of the service."""
    role: str = "dev"
    organisation: str = "acme"
    client: str = "agent"
    scope: str | None = None
    risk: RiskName | None = None
    approved: bool = False


@dataclass(frozen=True, slots=True)
class Explainer:
    """`authorizer` gives the set in force, `hosts` are the servers' own by their name."""

    catalog: Catalog
    roles: Roles
    authorizer: Callable[[], CedarAuthorizer]
    hosts: Mapping[str, str]
    switch: Refusing | None

    def explain(self, asked: Asked) -> dict[str, Any]:
        """As JSON; `told` are lines for a person. Raises GatewayError invalid for an operation that is not there."""
        question, authorizer = self._question(asked), self.authorizer()
        finding = self._before(question) or authorizer.explain(question)
        decision = finding.decision
        values = {
            "allowed": decision.allowed,
            "rule": decision.rule,
            "code": decision.code,
            "reason": decision.reason,
            "approver": decision.approver,
            "deciding": [_shown(rule) for rule in finding.deciding],
            "broken": [_shown(rule) for rule in finding.broken],
            "considered": finding.considered,
            "policy": authorizer.digest,
            "rollout": authorizer.settings.rollout,
        }
        return {**values, "told": _told(question, values)}

    def in_force(self) -> dict[str, Any]:
        """What holds at the moment, without a word of it."""
        authorizer = self.authorizer()
        files = [str(path) for path in authorizer.settings.files]
        return {
            "policy": authorizer.digest,
            "rollout": authorizer.settings.rollout,
            "rules": len(authorizer.rules.rules),
            "files": files,
        }

    def _before(self, question: Request) -> Finding | None:
        """What is refused whatever the rules say."""
        if (hidden := unseen(self.roles, question)) is not None:
            return Finding(hidden)
        reason = refusal(self.switch, question) if self.switch and question.action not in STILL_ALLOWED else ""
        return Finding(Decision(False, RULE, "disabled", reason)) if reason else None

    def _question(self, asked: Asked) -> Request:
        name, operation = asked.operation, self.catalog.get(asked.operation)
        if operation is None and name not in SCOPES:
            near = " or ".join(f"`{each}`" for each in self.catalog.nearest(name)) or ", ".join(SCOPES)
            message = f"`{name}` is no operation and no action of the service; did you mean {near}?"
            raise GatewayError("invalid", message)
        scope = operation.scope if operation else SCOPES[name]
        held = frozenset(asked.scope.split()) if asked.scope is not None else frozenset((scope,))
        principal = Principal("", asked.organisation, asked.subject, asked.client, asked.role, held, math.inf)
        context = Context(
            now=time.time(),
            has_turn=True,
            calls_this_cell=0,
            calls_this_session=0,
            writes_this_cell=0,
            writes_this_session=0,
            risk=asked.risk or (risk_of(operation) if operation else "low"),
            approved=asked.approved,
            kill_switch=False,
            has_idempotency_key=True,
            argument_bytes=2,
            host=self.hosts.get(operation.server, "") if operation else "",
        )
        return Request(principal, CALL if operation else name, name if operation else "", scope, context)


def _told(question: Request, values: Mapping[str, Any]) -> list[str]:
    asked = f"`{question.action}` {question.resource}".rstrip()
    lines = [f"{'allowed' if values['allowed'] else 'denied'} by `{values['rule']}`: {question.principal} {asked}"]
    if not values["allowed"]:
        lines.append(f"  the caller is told: {values['code']}: {values['reason']}")
    if values["approver"]:
        whose = {"user": "the asking user's own", "person": "another person's"}[values["approver"]]
        lines.append(f"  a yes would allow it: {whose}")
    for word, rules in (("decides", values["deciding"]), ("cannot be judged", values["broken"])):
        lines += [f"  {word}: {rule['effect']} `{rule['id']}` of {rule['source']}" for rule in rules]
    rules = f"{values['considered']} rules can apply"
    return [*lines, f"  {rules}; rollout {values['rollout']}, policy {values['policy'][:12]}"]


def _shown(rule: Rule) -> dict[str, str]:
    return {"id": rule.id, "effect": "permit" if rule.permits else "forbid", "source": rule.source}
