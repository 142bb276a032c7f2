"""Who asks, what is asked for and what the settings say, as Cedar entities. Built once for each kind of caller."""

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import cedarpy

from catalog import Catalog, Operation
from kernel_gateway.auth.principal import Principal
from kernel_gateway.policy.offered import named
from kernel_gateway.policy.rules import SCHEMA, PolicyError, Rule
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.policy.slices import Uid

MAX_VIEWS = 256  # callers with their role and scopes, of the last ones; a view costs a millisecond to make
RISKS = {"low": 0, "medium": 1, "high": 2, "critical": 3}
GATEWAY: Uid = ("Kernel::Gateway", "this")
SESSION: Uid = ("Kernel::Session", "asking")  # there is one in each view; rules speak of its attributes


@dataclass(frozen=True, slots=True)
class Caps:
    """How often a cell and a session may call, and a cell may change something."""

    calls_per_cell: int
    calls_per_session: int
    writes_per_cell: int

    @classmethod
    def of(cls, settings: PolicySettings, calls_per_cell: int, calls_per_session: int) -> "Caps":
        """The tightest of `limits`, given, `policy.max_calls` and those of a controlled phase."""
        cell, session = min(calls_per_cell, settings.max_calls or calls_per_cell), calls_per_session
        if settings.rollout != "controlled-write":
            return cls(cell, session, cell)
        return cls(
            min(cell, settings.controlled_calls_per_cell),
            min(session, settings.controlled_calls_per_session),
            min(cell, settings.controlled_writes_per_cell),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Cedar said of a question: by these rules, of how many. `allowed` is None where they cannot be judged."""

    allowed: bool | None
    rules: tuple[Rule, ...]
    considered: int


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is known, as one caller meets it. `within` is the caller with all that it belongs to.

    `answers` are what Cedar said of this caller's questions: they go with the view.
    """

    entities: cedarpy.Entities = field(repr=False)
    within: frozenset[Uid]
    answers: dict[tuple[str, Uid, str], Verdict] = field(default_factory=dict, repr=False)


class Views:
    """`secret` draws the canary's share, so that nobody can choose a name that is in it."""

    def __init__(self, settings: PolicySettings, caps: Caps, catalog: Catalog, secret: bytes) -> None:
        self._settings, self._secret = settings, secret
        known = [_gateway(settings, caps), *_servers(catalog, settings)]
        self._known = cedarpy.Entities.from_json_str(json.dumps(known), SCHEMA)
        self._views: dict[tuple[Any, ...], View] = {}

    def __repr__(self) -> str:
        return f"<Views of {len(self._known)} entities for {len(self._views)} callers>"

    def of(self, principal: Principal) -> View:
        """Raises ValueError where a name of the principal is no Unicode."""
        key = (principal.identity, principal.role, principal.scopes)
        if (view := self._views.get(key)) is None:
            if len(self._views) >= MAX_VIEWS:
                del self._views[next(iter(self._views))]
            view = self._views[key] = self._made(principal)
        return view

    def phase(self, principal: Principal) -> str:
        if self._settings.rollout != "canary":
            return self._settings.rollout
        return "canary" if drawn(principal, self._secret) < self._settings.canary_share else "outside"

    def _made(self, principal: Principal) -> View:
        role, organisation = ("Kernel::Role", principal.role), ("Kernel::Organisation", principal.organisation)
        attributes = {
            "user": principal.subject,
            "organisation": principal.organisation,
            "client": principal.client,
            "role": principal.role,
            "scopes": sorted(principal.scopes - {""}),
            "phase": self.phase(principal),
        }
        added = [_entity(role), _entity(organisation), _entity(SESSION, attributes, [role, organisation])]
        return View(
            self._known.with_added_json_str(json.dumps(added), SCHEMA), frozenset((SESSION, role, organisation))
        )


def drawn(principal: Principal, secret: bytes) -> float:
    """From 0 up to, but not including, 1; the same for a caller every time and everywhere that has the secret."""
    text = json.dumps(["canary", *principal.identity]).encode()
    return int.from_bytes(hmac.digest(secret, text, hashlib.sha256)[:6], "big") / 2**48


def operation_uid(operation: str) -> Uid:
    return "Kernel::Operation", operation


def server_uid(server: str) -> Uid:
    return "Kernel::Server", server


def _entity(uid: Uid, attributes: dict[str, Any] | None = None, parents: Iterable[Uid] = ()) -> dict[str, Any]:
    return {
        "uid": {"type": uid[0], "id": uid[1]},
        "attrs": attributes or {},
        "parents": [{"type": type_, "id": id_} for type_, id_ in parents],
    }


def _gateway(settings: PolicySettings, caps: Caps) -> dict[str, Any]:
    attributes = {
        "enabled": settings.enabled,
        "allow_mutations": settings.allow_mutations,
        "read_only_mode": settings.read_only_mode,
        "staging_hosts": sorted(host.lower() for host in settings.staging_hosts),
        "auto_approve_risk": RISKS[settings.auto_approve_risk],
        "max_calls_per_cell": caps.calls_per_cell,
        "max_calls_per_session": caps.calls_per_session,
        "max_writes_per_cell": caps.writes_per_cell,
    }
    return _entity(GATEWAY, attributes)


def _servers(catalog: Catalog, settings: PolicySettings) -> list[dict[str, Any]]:
    """Raises PolicyError for a name in the settings that no operation has: a slip would block nothing, unseen."""
    allowed = _named(catalog, settings.allowed_operations, "allowed_operations")
    blocked = _named(catalog, settings.blocked_operations, "blocked_operations")
    servers = sorted({operation.server for operation in catalog.operations})
    operations = [
        _operation(each, listed=not settings.allowed_operations or each.id in allowed, blocked=each.id in blocked)
        for each in catalog.operations
    ]
    return [*(_entity(server_uid(name)) for name in servers), *operations]


def _operation(operation: Operation, *, listed: bool, blocked: bool) -> dict[str, Any]:
    attributes = {
        "server": operation.server,
        "effect": operation.effect,
        "scope": operation.scope,
        "idempotency": operation.idempotency,
        "tags": sorted(set(operation.tags)),
        "listed": listed,
        "blocked": blocked,
    }
    return _entity(operation_uid(operation.id), attributes, [server_uid(operation.server)])


def _named(catalog: Catalog, patterns: Iterable[str], key: str) -> set[str]:
    found: set[str] = set()
    for pattern in patterns:
        matching = {each.id for each in catalog.operations if named(each.id, (pattern,))}
        if not matching:
            near = " or ".join(f"`{each}`" for each in catalog.nearest(pattern))
            hint = f"did you mean {near}?" if near else "write `server:operation` or `server:*`"
            raise PolicyError(f"`policy.{key}`: no operation is called `{pattern}`; {hint}")
        found |= matching
    return found
