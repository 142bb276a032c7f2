"""One save: what to look at, how it hangs together, what to hand out."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from kernel_ext.checkpoint import hidden, touched, units
from kernel_ext.checkpoint.books import Books, History, Manifest, Unit
from kernel_ext.checkpoint.chunks import SuspectedError, Writer, cut, joined
from kernel_ext.checkpoint.homes import Homes
from kernel_ext.checkpoint.pickling import Guard, Setting, Stopped
from kernel_ext.checkpoint.running import something_else_runs
from kernel_ext.checkpoint.scan import Pickled, Scan, pickled, reason, scan
from kernel_ext.checkpoint.touched import Reach, Wild
from kernel_ext.checkpoint.watch import Watch

FORMAT: Final = 1
_KEPT_BYTES: Final = 64 << 20  # of streams between the look at a variable and its writing: the kernel has other uses


class Save:
    """Reads `books`, and makes new ones: `run` returns them, and leaves the manifest in `manifest`."""

    def __init__(
        self,
        books: Books,
        homes: Homes,
        guard: Guard,
        watch: Watch,
        writer: Writer,
        ours: Collection[str],
        cells: Iterable[tuple[int, str]],
    ) -> None:
        self._books, self._homes, self._guard, self._watch, self._writer = books, homes, guard, watch, writer
        variables = dict(homes.namespace).items()
        self._values = {name: value for name, value in variables if name not in ours and isinstance(name, str)}
        self._setting = Setting(homes, guard)
        self._mutability = units.Mutability(homes)
        self._scans: dict[str, Scan] = {}
        self._kept = 0
        self._cells = [(cell, touched.of_source(source)) for cell, source in cells]
        self._got_out = books.got_out or any(reach.wild for _, reach in self._cells)
        self.manifest: Manifest = {}

    def run(self, everything: bool) -> Books:
        books, values = self._books, self._values
        seen = {name: id(value) for name, value in values.items()}
        cell = max([books.cell, *(cell for cell, _ in self._cells)])
        always = books.always_all or any(reach.wild is Wild.FROM_NOW_ON for _, reach in self._cells)
        self._scan_all(self._values if everything or always else self._first(seen))
        always = always or any(one.reach.wild is Wild.FROM_NOW_ON for one in self._scans.values())
        kept = {name: unit for name, unit in books.units.items() if name in values and name not in self._scans}
        history = self._histories(seen)
        found = kept | self._write(history)
        found |= self._hidden_state(cell, history)
        entries = {id(unit): unit.entry for unit in found.values()}
        self.manifest = {"format": FORMAT, "cell": cell, "units": list(entries.values()), "order": list(values)}
        return Books(found, seen, history, cell, always, self._got_out)

    def _first(self, seen: Mapping[str, int]) -> Iterable[str]:
        """The names that the cells themselves can have changed."""
        books = self._books
        if any(reach.wild for _, reach in self._cells) or something_else_runs(self._homes.namespace):
            return self._values
        first = {name for _, reach in self._cells for name in reach.names}
        first |= {name for name, value in seen.items() if books.seen.get(name) != value}
        first |= books.seen.keys() - seen.keys()
        first |= {name for name, unit in books.units.items() if not unit.held(self._writer.held)}
        if any(reach.calls for _, reach in self._cells):
            first |= {name for name, unit in books.units.items() if unit.draws}
        return first

    def _scan_all(self, first: Iterable[str]) -> None:
        """Scans `first`, and what that can reach: other variables of their units, names in their functions' code."""
        waiting, done = list(first), set()
        while waiting:
            name = waiting.pop()
            if name in done:
                continue
            done.add(name)
            if (unit := self._books.units.get(name)) is not None:
                waiting += [*unit.entry["names"], *unit.reach.names]
                if unit.reach.wild:
                    waiting += self._values
            if name in self._values:
                self._scans[name] = self._scan(name)
                waiting += self._scans[name].reach.names
                if self._scans[name].reach.wild:
                    waiting += self._values

    def _scan(self, name: str) -> Scan:
        self._watch.stop_if_waited_for()
        found = scan(self._setting, self._mutability, name, self._values[name], self._watch, self._got_out)
        self._got_out = self._got_out or found.reach.wild is not Wild.NO
        if found.pickled is not None:
            self._kept += found.pickled.stream.bytes
            if self._kept > _KEPT_BYTES:  # pickled again when its turn comes
                self._kept -= found.pickled.stream.bytes
                found.pickled.stream.pieces.clear()
        return found

    def _write(self, history: dict[str, History]) -> dict[str, Unit]:
        good = {name: one for name, one in self._scans.items() if one.pickled is not None}
        grouped = units.groups({name: one.shared for name, one in good.items()})
        grouped += [[name] for name in self._scans if name not in good]
        grouped.sort(key=self._bytes_of)
        found = {}
        for names in grouped:
            unit = self._unit(names, history)
            found.update(dict.fromkeys(names, unit))
        return found

    def _bytes_of(self, names: list[str]) -> int:
        parts = [self._scans[name].pickled for name in names]
        return sum(part.stream.bytes + sum(each.nbytes for each in part.buffers) for part in parts if part)

    def _unit(self, names: list[str], history: dict[str, History]) -> Unit:
        scans = [self._scans[name] for name in names]
        reads = frozenset().union(*(one.reach.names for one in scans))
        reach = Reach(reads, wild=max(one.reach.wild for one in scans))
        draws = any(one.draws for one in scans)
        try:
            if scans[0].pickled is None:
                contents: dict[str, Any] = {"lost": scans[0].lost}
            else:
                contents = self._contents(names, scans[0].pickled)
        except Stopped:
            raise
        except BaseException as error:
            contents = {"lost": reason(error)}
        known = self._books.units.get(names[0])
        if known is not None and _same(known.entry, names, contents):
            history.update({name: self._books.history[name] for name in names})
            return Unit(known.entry, reach, draws)
        past = [history[name] for name in names]
        if self._cells and not any(cell in one.cells for one in past for cell, _ in self._cells):
            # In a way that no cell's text shows: any of them may have.
            past.append(History(frozenset(cell for cell, _ in self._cells)))
            history.update({name: History(history[name].cells | past[-1].cells, history[name].needs) for name in names})
        entry = {
            "names": names,
            "cells": sorted(set().union(*(one.cells for one in past))),
            "needs": sorted(set().union(*(one.needs for one in past)).difference(names)),
            "tombstones": [],
            **contents,
        }
        if reads:
            entry["reads"] = sorted(reads)
        if reach.wild:
            entry["wild"] = int(reach.wild)
        if draws:
            entry["draws"] = True
        return Unit(entry, reach, draws)

    def _contents(self, names: list[str], alone: Pickled) -> dict[str, Any]:
        kept = len(names) == 1 and alone.stream.pieces
        done = alone if kept else pickled(self._setting, self._of(names), self._watch)[0]
        try:
            return self._put(names, done)
        except SuspectedError:
            try:
                done, _ = pickled(self._setting, self._of(names), self._watch, asks=True)
                return self._put(names, done)
            except SuspectedError as error:
                return {"lost": f"holds image bytes ({error})"}

    def _of(self, names: list[str]) -> dict[str, Any]:
        return {name: self._values[name] for name in names}

    def _put(self, names: list[str], done: Pickled) -> dict[str, Any]:
        parts = [lambda: joined(done.stream.pieces), *(lambda each=each: cut(each) for each in done.buffers)]
        stream, *buffers = self._writer.write(parts)
        for description, buffer in zip(buffers, done.buffers, strict=True):
            description["read_only"] = buffer.readonly
        stones = [{"names": names, "kind": one.kind, "bytes": one.bytes, "how": one.how} for one in done.tombstones]
        return {"stream": stream, "buffers": buffers, "tombstones": stones}

    def _histories(self, seen: Mapping[str, int]) -> dict[str, History]:
        """Which of the cells since the last save made each variable what it is now."""
        books = self._books
        history = {name: books.history.get(name, History()) for name in self._values}
        for cell, reach in self._cells:
            reached = self._reached(reach.names) if not reach.wild else set(self._values)
            needs = self._reached(reach.loads) & books.seen.keys()
            for name in reached & self._scans.keys():
                bound = books.seen.get(name) != seen[name]
                afresh = bound and name in reach.names and name not in reach.loads
                past = History() if afresh else history[name]
                history[name] = History(past.cells | {cell}, past.needs | needs)
        return history

    def _reached(self, names: Iterable[str]) -> set[str]:
        waiting, found = list(names), set()
        while waiting:
            name = waiting.pop()
            if name in found or (name not in self._values and name not in self._books.seen):
                continue
            found.add(name)
            if (one := self._scans.get(name)) is not None:
                waiting += self._values if one.reach.wild else one.reach.names
            if (unit := self._books.units.get(name)) is not None:
                waiting += self._values if unit.reach.wild else [*unit.entry["names"], *unit.reach.names]
        return found

    def _hidden_state(self, cell: int, history: dict[str, History]) -> dict[str, Unit]:
        found = {}
        for name, state in hidden.present().items():
            self._values[name] = state
            self._scans[name] = self._scan(name)
            history[name] = History(frozenset({cell}))
            found[name] = self._unit([name], history)
            del self._values[name]
        return found


def _same(known: Mapping[str, Any], names: list[str], contents: Mapping[str, Any]) -> bool:
    """Whether the variables are what they were, so that the cells since are none of those that made them."""
    if "lost" in known or "lost" in contents or known["names"] != names:
        return False
    return all(known[key] == contents[key] for key in ("stream", "buffers"))
