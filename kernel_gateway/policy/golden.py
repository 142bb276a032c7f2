"""A table of questions with known answers, asked of every new set of rules before it is in force."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from catalog import Catalog, Operation
from catalog.operation import Effect, Idempotency
from kernel_gateway.auth.principal import Principal
from kernel_gateway.policy.authorizer import CedarAuthorizer
from kernel_gateway.policy.request import Context, Decision, Request
from kernel_gateway.policy.rule_set import RuleSet
from kernel_gateway.policy.rules import PolicyError
from kernel_gateway.policy.settings import PolicySettings

TABLE = "golden.toml"
_NOW = 1_000.0
_SAFE: dict[str, Any] = {
    "now": _NOW,
    "has_turn": True,
    "calls_this_cell": 0,
    "calls_this_session": 0,
    "writes_this_cell": 0,
    "writes_this_session": 0,
    "risk": "low",
    "approved": False,
    "kill_switch": False,
    "has_idempotency_key": True,
    "argument_bytes": 2,
    "host": "golden.test",
}


def _operation(name: str, effect: Effect, idempotency: Idempotency) -> Operation:
    return Operation(
        id=f"golden:{name}",
        server="golden",
        name=name,
        method="POST",
        path=f"/{name}",
        summary=name,
        description="",
        effect=effect,
        scope=f"golden.{name}",
        idempotency=idempotency,
        parameters=(),
        arguments={},
        answer={},
        answer_statuses=(200,),
    )


CATALOG = Catalog(
    (
        _operation("look", Effect.READ, Idempotency.NONE),
        _operation("make", Effect.WRITE, Idempotency.OPTIONAL),
        _operation("wipe", Effect.DELETE, Idempotency.REQUIRED),
    )
)
SCOPES = frozenset((*(operation.scope for operation in CATALOG.operations), "kernel.search", "kernel.execute"))


@dataclass(frozen=True, slots=True)
class Golden:
    """One row. `rule` is what decides in the baseline; with `in_every_set` an allowed one is so in every set."""

    name: str
    allowed: bool
    rule: str
    in_every_set: bool
    action: str
    resource: str
    scope: str
    principal: Principal
    context: Context
    settings: PolicySettings


def table(text: str | None = None) -> tuple[Golden, ...]:
    written = text if text is not None else (files("kernel_gateway.policy") / TABLE).read_text(encoding="utf-8")
    return tuple(_row(each) for each in tomllib.loads(written)["decision"])


def check(rules: RuleSet, rows: tuple[Golden, ...]) -> None:
    """Raises PolicyError for the first row that comes out otherwise.

    An operator's own rules may forbid more: so of what is allowed they must leave only what every set needs.
    """
    for row in rows:
        if (not row.allowed or row.in_every_set) and decide(rules, row).allowed is not row.allowed:
            word = "denied" if row.allowed else "allowed"
            raise PolicyError(f"the golden decision `{row.name}` would be {word}; see {TABLE} for what must stay so")


def decide(rules: RuleSet, row: Golden) -> Decision:
    authorizer = CedarAuthorizer(
        rules, row.settings, CATALOG, calls_per_cell=20, calls_per_session=100, secret=b"golden"
    )
    return authorizer.decide(Request(row.principal, row.action, row.resource, row.scope, row.context))


def _row(written: Mapping[str, Any]) -> Golden:
    left = dict(written)
    action, resource = left.pop("action"), left.pop("resource", "")
    operation = CATALOG.get(resource)
    principal = Principal(
        issuer="https://golden.test",
        organisation="golden",
        subject="golden",
        client="golden",
        role=left.pop("role", "dev"),
        scopes=frozenset(left.pop("scopes", SCOPES)),
        expires_at=left.pop("expires_at", _NOW + 1.0),
    )
    row = Golden(
        name=left.pop("name"),
        allowed=left.pop("allowed"),
        rule=left.pop("rule"),
        in_every_set=left.pop("in_every_set", False),
        action=action,
        resource=resource,
        scope=left.pop("scope", operation.scope if operation else f"kernel.{action}"),
        principal=principal,
        context=Context(**{**_SAFE, **left.pop("context", {})}),
        settings=PolicySettings(**left.pop("settings", {})),
    )
    if left:
        raise ValueError(f"`{row.name}`: {', '.join(sorted(left))} is no part of a golden decision")
    return row
