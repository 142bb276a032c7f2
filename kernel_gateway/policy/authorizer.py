"""Decides with Cedar. Pure, and its law: what no rule allows is denied, and so is what a rule cannot judge."""

import hashlib
import json
import re
from dataclasses import dataclass

import cedarpy

from catalog import Catalog
from kernel_gateway.policy.actions import BLOBS, CALL, DOORS, GROUPS
from kernel_gateway.policy.entities import (
    GATEWAY,
    RISKS,
    SESSION,
    Caps,
    Verdict,
    View,
    Views,
    operation_uid,
    server_uid,
)
from kernel_gateway.policy.request import Context, Decision, Request
from kernel_gateway.policy.rule_set import RuleSet
from kernel_gateway.policy.rules import SCHEMA, SCHEMA_TEXT, Rule, baseline, written
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.policy.slices import Facts, Slice, Uid

_POLICY = re.compile(r"`policy(\d+)`")
_LONG = 2**63
# Of one caller. The same question has the same answer as long as the rules are these, and every cell asks the same two.
MAX_ANSWERS = 64


@dataclass(frozen=True, slots=True)
class Finding:
    """A decision, and all that came of the rules: those that decided or could not be judged, of how many looked at."""

    decision: Decision
    deciding: tuple[Rule, ...] = ()
    broken: tuple[Rule, ...] = ()
    considered: int = 0


class CedarAuthorizer:
    """`calls_per_cell` and `calls_per_session` are those of `[limits]`. Raises PolicyError for settings that name what
    is not there. A value that is not of its kind, such as a count that is no whole number, denies."""

    def __init__(
        self,
        rules: RuleSet,
        settings: PolicySettings,
        catalog: Catalog,
        *,
        calls_per_cell: int,
        calls_per_session: int,
        secret: bytes,
    ) -> None:
        self.rules, self.settings = rules, settings
        self._catalog = catalog
        self._caps = Caps.of(settings, calls_per_cell, calls_per_session)
        self._views = Views(settings, self._caps, catalog, secret)
        self._servers = {operation.server for operation in catalog.operations}
        self._hidden = frozenset(name.lower() for name in settings.blocked_fields)
        self._actions = {action: _within(action) for action in GROUPS}
        self.digest = _digest(rules, settings, self._caps)

    def __repr__(self) -> str:
        return f"<CedarAuthorizer {len(self.rules.rules)} rules, {self.settings.rollout}, {self.digest[:12]}>"

    def decide(self, request: Request) -> Decision:
        return self.explain(request).decision

    def explain(self, request: Request) -> Finding:
        """The same decision, with what it came from."""
        if (target := self._target(request)) is None:
            return Finding(_denied("default_deny", _nothing_allows(request)))
        action, resource, server = target
        try:
            view = self._views.of(request.principal)
            return self._judge(request, action, resource, server, view)
        except ValueError:  # a name that is no Unicode: nothing that could be compared
            return Finding(_denied("invalid_request", "a name in the request or its token is not valid text"))

    def _target(self, request: Request) -> tuple[str, Uid, frozenset[Uid]] | None:
        """Cedar's action, the resource and what that is in; None for an action or operation that nobody described."""
        if request.action == CALL:
            operation = self._catalog.get(request.resource)
            if operation is None:
                return None
            uid = operation_uid(operation.id)
            return operation.effect.value, uid, frozenset((uid, server_uid(operation.server)))
        if request.action in BLOBS and request.resource in self._servers:
            uid = server_uid(request.resource)
            return request.action, uid, frozenset((uid,))
        if request.action in DOORS:
            return DOORS[request.action], GATEWAY, frozenset((GATEWAY,))
        return None

    def _judge(self, request: Request, action: str, resource: Uid, within: frozenset[Uid], view: View) -> Finding:
        question = action, resource, json.dumps(_context(request))
        if (verdict := view.answers.get(question)) is None:
            if len(view.answers) >= MAX_ANSWERS:
                del view.answers[next(iter(view.answers))]
            facts = Facts((SESSION[0], view.within), self._actions[action], (resource[0], within))
            verdict = view.answers[question] = self._asked(self.rules.slices.of(facts), view, *question)
        if verdict.allowed is None:
            return Finding(_broken(verdict.rules), broken=verdict.rules, considered=verdict.considered)
        decision = self._decision(request, verdict.allowed, verdict.rules)
        return Finding(decision, verdict.rules, considered=verdict.considered)

    def _asked(self, slice_: Slice, view: View, action: str, resource: Uid, context: str) -> Verdict:
        """What Cedar says."""
        result = cedarpy.is_authorized(
            {
                "principal": {"type": SESSION[0], "id": SESSION[1]},
                "action": {"type": "Kernel::Action", "id": action},
                "resource": {"type": resource[0], "id": resource[1]},
                "context": context,
            },
            slice_.policies,
            view.entities,
            SCHEMA,
        )
        diagnostics = result.diagnostics
        if diagnostics.errors or result.decision is cedarpy.Decision.NoDecision:
            named = [int(match[1]) for error in diagnostics.errors if (match := _POLICY.search(error))]
            return Verdict(None, tuple(slice_.rules[number] for number in named), len(slice_.rules))
        deciding = [slice_.rules[int(each.removeprefix("policy"))] for each in diagnostics.reasons]
        deciding.sort(key=lambda rule: self.rules.rank[rule.id])
        return Verdict(result.decision is cedarpy.Decision.Allow, tuple(deciding), len(slice_.rules))

    def _decision(self, request: Request, allowed: bool, deciding: tuple[Rule, ...]) -> Decision:
        if not deciding:
            return _denied("default_deny", _nothing_allows(request))
        rule = deciding[0]
        if rule.approver:  # a yes is one for all of them, so it takes the one whom the strictest asks for
            rule = next((each for each in deciding if each.approver == "person"), rule)
        if allowed:
            return Decision(True, rule.id, blocked_fields=self._hidden)
        caps = self._caps
        values = {
            "action": request.action,
            "resource": request.resource,
            "scope": request.scope,
            "max_calls_per_cell": caps.calls_per_cell,
            "max_calls_per_session": caps.calls_per_session,
            "max_writes_per_cell": caps.writes_per_cell,
        }
        return Decision(False, rule.id, rule.code, rule.line(values), rule.approver)


def baseline_authorizer(
    catalog: Catalog, calls_per_cell: int, calls_per_session: int, settings: PolicySettings | None = None
) -> CedarAuthorizer:
    """The rules of an installation that adds none, and its settings."""
    return CedarAuthorizer(
        RuleSet(baseline()),
        settings or PolicySettings(),
        catalog,
        calls_per_cell=calls_per_cell,
        calls_per_session=calls_per_session,
        secret=b"",
    )


def _context(request: Request) -> dict[str, object]:
    """What is not of its kind is left out, and what is left out denies."""
    context: Context = request.context
    texts = {"scope": request.scope, "host": context.host}
    counts = {
        "calls_this_cell": context.calls_this_cell,
        "calls_this_session": context.calls_this_session,
        "writes_this_cell": context.writes_this_cell,
        "writes_this_session": context.writes_this_session,
        "argument_bytes": context.argument_bytes,
        "risk": RISKS.get(context.risk),
    }
    flags = {
        "has_turn": context.has_turn,
        "approved": context.approved,
        "kill_switch": context.kill_switch,
        "has_idempotency_key": context.has_idempotency_key,
    }
    return {
        "token_live": isinstance(context.now, int | float) and context.now < request.principal.expires_at,
        **{name: value for name, value in texts.items() if isinstance(value, str)},
        **{name: value for name, value in counts.items() if type(value) is int and -_LONG <= value < _LONG},
        **{name: value for name, value in flags.items() if type(value) is bool},
    }


def _within(action: str) -> frozenset[Uid]:
    return frozenset(("Kernel::Action", name) for name in (action, *GROUPS[action]))


def _nothing_allows(request: Request) -> str:
    return f"no rule allows `{request.action}`"


def _broken(rules: tuple[Rule, ...]) -> Decision:
    if not rules:
        return _denied("invalid_request", "the request says something that the policy cannot judge; tell an operator")
    names = ", ".join(f"`{rule.id}`" for rule in rules)
    return _denied("broken_rule", f"the policy's rule {names} cannot be judged for this request; tell an operator")


def _denied(rule: str, reason: str) -> Decision:
    return Decision(False, rule, "denied", reason)


def _digest(rules: RuleSet, settings: PolicySettings, caps: Caps) -> str:
    """SHA-256 over the schema, the rules, the settings and the caps, as canonical JSON."""
    said = settings.model_dump(mode="json", exclude={"files", "reload_seconds"})
    content = [SCHEMA_TEXT, written(rules.rules), said, [caps.calls_per_cell, caps.calls_per_session]]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
