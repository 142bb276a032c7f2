"""Rules that hold together: named apart, checked against the schema, told in their order."""

import json
import re
from dataclasses import dataclass
from functools import cached_property

import cedarpy

from kernel_gateway.policy.rules import SCHEMA, PolicyError, Rule, written
from kernel_gateway.policy.slices import Slices

_MAX_COMPLAINTS = 3


@dataclass(frozen=True)
class RuleSet:
    """Rules in the order of their telling. Raises PolicyError for two of one name, and for what the schema forbids."""

    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        if len(self.by_id) != len(self.rules):
            names = [rule.id for rule in self.rules]
            twice = next(rule for number, rule in enumerate(self.rules) if rule.id in names[:number])
            raise PolicyError(f"`{twice.source}`: there is another policy with @id `{twice.id}`; rename this one")
        text = cedarpy.policies_from_json_str(json.dumps(written(self.rules)))
        if errors := cedarpy.validate_policies(text, SCHEMA).errors:
            raise PolicyError("; ".join(dict.fromkeys(self._complaint(each) for each in errors[:_MAX_COMPLAINTS])))

    @cached_property
    def slices(self) -> Slices:
        return Slices(self.rules)

    @cached_property
    def by_id(self) -> dict[str, Rule]:
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def rank(self) -> dict[str, tuple[bool, bool, int]]:
        """Which of several is told: what a yes would allow comes last, and of that, another person's yes first."""
        return {
            rule.id: (bool(rule.approver), rule.approver == "user", number) for number, rule in enumerate(self.rules)
        }

    def _complaint(self, error: cedarpy.ValidationError) -> str:
        words = " ".join(error.error.split())
        number = re.search(r"`?policy(\d+)`?", f"{error.policy_id} {words}")
        if number is None or int(number[1]) >= len(self.rules):
            return words
        rule = self.rules[int(number[1])]
        words = re.sub(r"^for policy `policy[0-9]+`, ", "", words)
        return f"`{rule.source}`: policy `{rule.id}`: {words}{_hint(words)}"


def _hint(complaint: str) -> str:
    """Where a name lacks its namespace, which is how most examples of Cedar are written."""
    bare = re.search(r'unrecognized (?:action|entity type) `(?!Kernel::)([A-Za-z]+(?:::"[^`]*")?)`', complaint)
    return f"; write `Kernel::{bare[1]}`" if bare else ""
