"""What a kernel is given of the catalog, made once for each set of operations that callers may use."""

from collections.abc import Callable
from typing import Any

from catalog.manifest import manifest
from kernel_gateway.auth.principal import Principal
from kernel_gateway.policy.usable import Usable

MAX_KEPT = 64  # about 20 kB each; there are as many as there are kinds of tokens


def manifests(usable: Usable) -> Callable[[Principal], dict[str, Any]]:
    """Makes what a kernel is given: every server that its caller's role shows, so that a call of what its scopes do not
    cover says what is missing."""
    titles = {name: server["title"] for name, server in manifest(usable.catalog)["servers"].items()}

    made: dict[tuple[Any, ...], dict[str, Any]] = {}  # by what its caller sees and may use: a handful of sets

    def of(principal: Principal) -> dict[str, Any]:
        allowed, shown = usable.catalog_for(principal), usable.servers_for(principal)
        key = (shown, *(operation.id for operation in allowed.operations))
        if key not in made:
            if len(made) >= MAX_KEPT:
                made.clear()
            own = manifest(allowed)
            none_usable = {name: {"title": title, "operations": []} for name, title in titles.items() if name in shown}
            made[key] = {**own, "servers": none_usable | own["servers"]}
        return made[key]

    return of
