"""What a kernel is given of the catalog, made once for each set of operations that callers may use."""

from collections.abc import Callable
from typing import Any

from catalog import Catalog
from catalog.manifest import manifest

MAX_KEPT = 64  # about 20 kB each; there are as many as there are kinds of tokens


def manifests(served: Catalog) -> Callable[[Catalog], dict[str, Any]]:
    """Makes what a kernel is given: all servers, so that a call of what its caller may not use says what is missing."""
    servers = manifest(served)["servers"].items()
    none_usable = {name: {"title": server["title"], "operations": []} for name, server in servers}

    made: dict[tuple[str, ...], dict[str, Any]] = {}  # by what its caller may use: a handful of sets

    def of(usable: Catalog) -> dict[str, Any]:
        allowed = tuple(operation.id for operation in usable.operations)
        if allowed not in made:
            if len(made) >= MAX_KEPT:
                made.clear()
            own = manifest(usable)
            made[allowed] = {**own, "servers": none_usable | own["servers"]}
        return made[allowed]

    return of
