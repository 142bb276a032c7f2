"""Saves a session's variables after its cells: looks at what they can have changed, hands out what did change."""

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Any, Final

from kernel_ext.checkpoint.books import Books, Budget, History, Manifest, Unit, chunks_of
from kernel_ext.checkpoint.chunks import Writer
from kernel_ext.checkpoint.homes import Homes
from kernel_ext.checkpoint.pickling import Guard, Stopped
from kernel_ext.checkpoint.quiet import quiet
from kernel_ext.checkpoint.save import Save
from kernel_ext.checkpoint.touched import Reach, Wild
from kernel_ext.checkpoint.watch import Watch

__all__ = ["Budget", "Manifest", "Saver", "Stopped"]

_OF_EVERY_MODULE: Final = frozenset(
    {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__builtin__", "__builtins__", "__file__"}
)
_KEPT_MANIFESTS: Final = 4  # the store may still be writing one while the next is made


class Saver:
    """`hidden` names what in `namespace` is not the session's own."""

    def __init__(
        self,
        namespace: dict[str, Any],
        hidden: Callable[[], Collection[str]],
        guard: Guard,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._namespace, self._hidden, self._guard, self._clock = namespace, hidden, guard, clock
        self._homes = Homes(namespace)
        self._books = Books()
        self._pending: list[tuple[int, str]] = []
        self._committed: deque[frozenset[str]] = deque(maxlen=_KEPT_MANIFESTS)

    def ran(self, cell: int, source: str) -> None:
        """A cell has ended, whatever its outcome."""
        self._pending.append((cell, source))

    def save(
        self,
        budget: Budget,
        put: Callable[[str, memoryview], None],
        stop: Callable[[], bool],
        everything: bool = False,
    ) -> Manifest:
        """The manifest of the namespace as it is; `everything` is looked at where changes may be that no cell's text
        shows. Raises Stopped when `stop` says that a cell waits: nothing is forgotten, the next save covers it.
        """
        watch = Watch(budget, stop, self._clock)
        held: frozenset[str] = frozenset().union(*self._committed)
        writer = Writer(put, watch.look, self._guard, held, budget.bytes)
        save = Save(self._books, self._homes, self._guard, watch, writer, self._ours(), self._pending)
        with quiet(), watch.alarm():
            self._books = save.run(everything)
        del self._pending[:]
        return save.manifest

    def committed(self, manifest: Manifest) -> None:
        """The store holds `manifest`: its chunks need not be sent again."""
        self._committed.append(frozenset(name for entry in manifest["units"] for name in chunks_of(entry)))

    def adopt(self, manifest: Manifest) -> None:
        """The namespace was loaded from `manifest`."""
        found, history = {}, {}
        for entry in manifest["units"]:
            reach = Reach(frozenset(entry.get("reads", ())), wild=Wild(entry.get("wild", 0)))
            unit = Unit(entry, reach, entry.get("draws", False))
            for name in entry["names"]:
                found[name] = unit
                history[name] = History(frozenset(entry["cells"]), frozenset(entry["needs"]))
        seen = {name: id(self._namespace[name]) for name in manifest["order"] if name in self._namespace}
        always = any(unit.reach.wild is Wild.FROM_NOW_ON for unit in found.values())
        got_out = any(unit.reach.wild for unit in found.values())
        self._books = Books(found, seen, history, manifest["cell"], always, got_out)
        del self._pending[:]
        self.committed(manifest)

    def _ours(self) -> frozenset[str]:
        return _OF_EVERY_MODULE.union(self._hidden())
