"""The rules that can apply to a request, by what they say of it before any condition: a large set costs like a small.

A rule whose scope (principal, action, resource) does not fit is false in Cedar, and without an error: to leave it out
changes neither the decision nor its reasons. What cannot be judged here stays in.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cedarpy

from kernel_gateway.policy.rules import Rule, written

MAX_SLICES = 4096  # requests that differ in what scopes can tell apart: roles times operations
MAX_SETS = 1024  # distinct ones among them; each some 30 kB

Uid = tuple[str, str]
"""Type and id of an entity."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What scopes can ask of one request: each entity with everything that it is in, itself included."""

    principal: tuple[str, frozenset[Uid]]  # its type, and itself with its ancestors
    action: frozenset[Uid]
    resource: tuple[str, frozenset[Uid]]


@dataclass(frozen=True, slots=True)
class Slice:
    """`rules` in the order of `policies`, where they are called policy0, policy1 ..."""

    rules: tuple[Rule, ...]
    policies: cedarpy.PolicySet = field(repr=False)


class Slices:
    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._slices: dict[Facts, Slice] = {}
        self._sets: dict[tuple[str, ...], Slice] = {}

    def __repr__(self) -> str:
        return f"<Slices of {len(self._rules)} rules: {len(self._slices)} for {len(self._sets)} sets>"

    def of(self, facts: Facts) -> Slice:
        if (found := self._slices.get(facts)) is None:
            if len(self._slices) >= MAX_SLICES:
                self._slices.clear()
            found = self._slices[facts] = self._set(tuple(rule for rule in self._rules if applies(rule, facts)))
        return found

    def _set(self, rules: tuple[Rule, ...]) -> Slice:
        ids = tuple(rule.id for rule in rules)
        if (found := self._sets.get(ids)) is None:
            if len(self._sets) >= MAX_SETS:
                self._sets.clear()
            found = self._sets[ids] = Slice(rules, policy_set(rules))
        return found


def policy_set(rules: Sequence[Rule]) -> cedarpy.PolicySet:
    return cedarpy.PolicySet.from_json_str(json.dumps(written(rules)))


def applies(rule: Rule, facts: Facts) -> bool:
    """False only where its scope surely does not fit."""
    body = rule.body
    return (
        _fits(body["principal"], *facts.principal)
        and _fits(body["action"], "", facts.action)
        and _fits(body["resource"], *facts.resource)
    )


def _fits(constraint: Mapping[str, Any], type_: str, within: frozenset[Uid]) -> bool:
    match constraint:
        case {"op": "==" | "in", "entity": entity}:  # == too: an entity is in what it is; a few stay in needlessly
            return _uid(entity) in within
        case {"op": "in", "entities": entities}:
            return any(_uid(each) in within for each in entities)
        case {"op": "is", "entity_type": wanted, "in": {"entity": entity}}:
            return wanted == type_ and _uid(entity) in within
        case {"op": "is", "entity_type": wanted}:
            return bool(wanted == type_)
    return True


def _uid(entity: Mapping[str, str]) -> Uid:
    return entity["type"], entity["id"]
