"""What the settings close is not offered either: neither found by a search nor part of a kernel's client. Pure."""

import fnmatch
from collections.abc import Mapping

from catalog import Catalog, Effect, Operation
from kernel_gateway.policy.settings import PolicySettings


def closed(settings: PolicySettings, catalog: Catalog, hosts: Mapping[str, str]) -> frozenset[str]:
    """The ids of the operations that nobody may call, whatever is asked; `hosts` are the servers' own by their name.

    The baseline refuses the same. Rules of an operator's own can ask for more, and speak at the call alone.
    """
    staging = {host.lower() for host in settings.staging_hosts}
    on_trial = settings.rollout == "pilot-read"
    only_reads = on_trial or settings.read_only_mode or not settings.allow_mutations

    def is_closed(operation: Operation) -> bool:
        return (
            (only_reads and operation.effect is not Effect.READ)
            or (on_trial and hosts.get(operation.server, "") not in staging)
            or (bool(settings.allowed_operations) and not named(operation.id, settings.allowed_operations))
            or named(operation.id, settings.blocked_operations)
        )

    return frozenset(operation.id for operation in catalog.operations if is_closed(operation))


def named(operation: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of the patterns, `server:operation` or `server:*`, is about this id."""
    return any(fnmatch.fnmatchcase(operation, pattern) for pattern in patterns)
