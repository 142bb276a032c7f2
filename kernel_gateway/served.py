"""What the configuration's documents serve, and which role sees what of it."""

from dataclasses import dataclass

from catalog import Catalog
from catalog.document import DocumentError
from catalog.reviewed import load_served
from kernel_gateway.errors import ConfigError
from kernel_gateway.limits.settings import LimitSettings
from kernel_gateway.policy.policies import Compiler
from kernel_gateway.policy.roles import Roles, configured
from kernel_gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Served:
    """`unreviewed` are the ids of operations that nobody has read as they stand, which are not served."""

    catalog: Catalog
    unreviewed: tuple[str, ...]
    roles: Roles

    @classmethod
    def of(cls, settings: Settings) -> "Served":
        """Raises ConfigError, also for an upstream or a role's server that no document is called."""
        try:
            catalog, unreviewed = load_served(settings.catalog.specs, settings.catalog.reviewed)
        except DocumentError as error:
            raise ConfigError(str(error)) from error
        known = {id_.partition(":")[0] for id_ in (*(operation.id for operation in catalog.operations), *unreviewed)}
        for name in settings.upstreams:
            if name not in known:
                names = ", ".join(sorted(known))
                raise ConfigError(f"`upstreams.{name}`: no document is called so; there is {names}")
        return cls(catalog, tuple(unreviewed), configured(settings.auth, known))


def compiler_of(served: Served, limits: LimitSettings, secret: bytes) -> Compiler:
    """Makes policies for what is served; `secret` draws the canary's share."""
    calls = limits.max_calls_per_cell, limits.max_calls_per_session
    return Compiler(served.catalog, *calls, secret, frozenset(served.roles.servers))
