"""Cedar policies as rules with a name, a code and a line for the caller. Parsed and checked once; pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import cedarpy

from kernel_gateway.errors import ConfigError

_HERE = files("kernel_gateway.policy")
SCHEMA_TEXT = (_HERE / "schema.cedarschema").read_text(encoding="utf-8")
BASELINE_TEXT = (_HERE / "baseline.cedar").read_text(encoding="utf-8")
SCHEMA = cedarpy.Schema.from_str(SCHEMA_TEXT)
BASELINE = "baseline.cedar"
CODES = ("denied", "limited", "disabled", "invalid", "approval_required")
APPROVERS = ("user", "person")
PLACEHOLDERS = frozenset(
    ("action", "resource", "scope", "max_calls_per_cell", "max_calls_per_session", "max_writes_per_cell")
)
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,79}", re.ASCII)  # as the journal keeps it


class PolicyError(ConfigError):
    """A set of policies cannot be used: one line, naming the file and the rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy. `body` is its JSON form; of a permit, `code` and `reason` are empty."""

    id: str
    permits: bool
    code: str
    reason: str
    approver: str
    source: str
    body: Mapping[str, Any] = field(repr=False)

    def line(self, values: Mapping[str, object]) -> str:
        """What its caller reads, with the values that hold for the request."""
        return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), self.reason)


def baseline() -> tuple[Rule, ...]:
    return parse(BASELINE_TEXT, BASELINE)


def parse(text: str, source: str) -> tuple[Rule, ...]:
    """The policies of one file, in its order. Raises PolicyError."""
    try:
        document = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        raise PolicyError(f"`{source}` is not Cedar: {' '.join(str(error).split())}") from error
    if document["templates"]:
        raise PolicyError(f"`{source}` holds a template; write out the principal and the resource")
    policies = document["staticPolicies"]
    return tuple(
        _rule(policies[name], source) for name in sorted(policies, key=lambda name: int(name[len("policy") :]))
    )


def written(rules: Sequence[Rule]) -> dict[str, Any]:
    """As Cedar's JSON form of a policy set, under numbers, since other names would sort differently."""
    return {
        "staticPolicies": {f"policy{number}": rule.body for number, rule in enumerate(rules)},
        "templates": {},
        "templateLinks": [],
    }


def _rule(body: Mapping[str, Any], source: str) -> Rule:
    notes = body.get("annotations", {})
    id_, reason = notes.get("id") or "", notes.get("reason") or ""
    code, approver = notes.get("code") or "", notes.get("approver") or ""
    permits = body["effect"] == "permit"

    def wrong(what: str) -> PolicyError:
        return PolicyError(f"`{source}`: policy `{id_}`: {what}")

    if not _ID.fullmatch(id_):
        raise PolicyError(f'`{source}`: every policy needs an @id("name") of letters, digits and _ . : -')
    if permits and (reason or code or approver):
        raise wrong("a permit takes no @reason, @code or @approver; write them on a forbid")
    if not permits and (not reason.isprintable() or not reason.strip()):
        raise wrong('a forbid needs a @reason("..."), one line that its caller reads')
    if unknown := sorted(set(_PLACEHOLDER.findall(reason)) - PLACEHOLDERS):
        raise wrong(f"@reason knows no {{{unknown[0]}}}; there is {', '.join(sorted(PLACEHOLDERS))}")
    if code not in ("", *CODES):
        raise wrong(f"@code is one of {', '.join(CODES)}")
    if approver not in ("", *APPROVERS) or bool(approver) != (code == "approval_required"):
        raise wrong('@approver("user") or @approver("person") belongs to @code("approval_required")')
    return Rule(id_, permits, "" if permits else code or "denied", reason, approver, source, body)
