"""The names that rules write out. One that nothing has would make a rule that never applies, unseen. Pure."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from catalog import Catalog
from kernel_gateway.policy.rules import PolicyError, Rule

_OPERATION, _SERVER, _ROLE = "Kernel::Operation", "Kernel::Server", "Kernel::Role"
_KINDS = {_OPERATION: "operation", _SERVER: "server", _ROLE: "role"}


def check(rules: Sequence[Rule], catalog: Catalog, roles: Collection[str] | None) -> None:
    """Raises PolicyError for an operation, a server or a role that is not there. Without `roles` any may be."""
    known = {
        _OPERATION: {operation.id for operation in catalog.operations},
        _SERVER: {operation.server for operation in catalog.operations},
        _ROLE: roles,
    }
    for rule in rules:
        for type_, name in _entities(rule.body):
            there = known.get(type_)
            if there is not None and name not in there:
                near = catalog.nearest(name) if type_ == _OPERATION else []
                names = " or ".join(f"`{each}`" for each in near)
                hint = f"did you mean {names}?" if near else f"there is {', '.join(sorted(there)) or 'none'}"
                raise PolicyError(f"`{rule.source}`: policy `{rule.id}`: no {_KINDS[type_]} is called `{name}`; {hint}")


def _entities(body: Any) -> Iterator[tuple[str, str]]:
    """Everything of the form {"type": ..., "id": ...} in Cedar's JSON."""
    if isinstance(body, dict):
        match body:
            case {"type": str(type_), "id": str(name)}:
                yield type_, name
            case _:
                for inner in body.values():
                    yield from _entities(inner)
    elif isinstance(body, list):
        for inner in body:
            yield from _entities(inner)
