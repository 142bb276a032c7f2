"""Who calls whom how often -> how often each operation is called. No syntax here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kernel_gateway.policy.review.names import Ref

Counts = dict[str, int]
_ROUNDS = 10  # of following a circle of functions; in a longer one each is taken to reach all of it


@dataclass(slots=True)
class Body:
    """What one piece of code does when it runs once. A `Ref` is an operation, a "def" or a "method" of any object.

    `carries`: what whoever gets its result can call at will.
    """

    calls: dict[Ref, int] = field(default_factory=dict)
    carries: set[Ref] = field(default_factory=set)


class Tally:
    """Sums along calls. What is in a circle may go round as often as it likes: `most` times each."""

    def __init__(self, bodies: Mapping[Ref, Body], most: int) -> None:
        self._bodies, self._most = bodies, most
        self._called: dict[Ref, Counts] = {}
        self._held: dict[Ref, frozenset[str]] = {}
        edges = {ref: self._next(body) for ref, body in bodies.items()}
        below, rest = _peel(edges)
        above, circle = _peel(_reversed(edges, rest))
        for ref in below:
            self._sum(ref)
        self._circle(circle, edges)
        for ref in reversed(above):
            self._sum(ref)

    def calls(self, ref: Ref) -> Counts:
        return self._called.get(ref, {})

    def carries(self, refs: Iterable[Ref]) -> frozenset[str]:
        """All operations in reach of whoever holds `refs`."""
        return frozenset(each for ref in refs for each in self._reach(ref))

    def _next(self, body: Body) -> set[Ref]:
        return {ref for ref in (*body.calls, *body.carries) if ref in self._bodies}

    def _reach(self, ref: Ref) -> frozenset[str]:
        if ref.kind == "operation":
            return frozenset((ref.name,))
        return self._held.get(ref, frozenset()) | self.calls(ref).keys()

    def _sum(self, ref: Ref) -> None:
        body, counts = self._bodies[ref], Counts()
        for called, times in body.calls.items():
            if called.kind == "operation":
                counts[called.name] = min(self._most, counts.get(called.name, 0) + times)
            for operation, count in self.calls(called).items():
                counts[operation] = min(self._most, counts.get(operation, 0) + times * count)
            counts |= dict.fromkeys(self._held.get(called, ()), self._most)
        self._called[ref] = counts
        self._held[ref] = self.carries(body.carries).union(*(self._held.get(called, ()) for called in body.calls))

    def _circle(self, circle: list[Ref], edges: Mapping[Ref, set[Ref]]) -> None:
        reach = {ref: frozenset[str]() for ref in circle}
        for ref in circle:
            body = self._bodies[ref]
            reach[ref] = frozenset(each for one in (*body.calls, *body.carries) for each in self._reach(one))
        for _ in range(_ROUNDS):
            wider = {ref: reach[ref].union(*(reach[to] for to in edges[ref] if to in reach)) for ref in circle}
            if wider == reach:
                break
            reach = wider
        else:
            reach = dict.fromkeys(circle, frozenset(each for one in reach.values() for each in one))
        hands_on = any(self._bodies[ref].carries for ref in circle)
        for ref in circle:
            self._called[ref] = dict.fromkeys(reach[ref], self._most)
            self._held[ref] = reach[ref] if hands_on else frozenset()


def _peel(edges: Mapping[Ref, set[Ref]]) -> tuple[list[Ref], list[Ref]]:
    """Those that lead, at last, only to ends, each after all that it leads to; and the others."""
    waiting = {ref: len(targets) for ref, targets in edges.items()}
    back = _reversed(edges, edges)
    ready, order = [ref for ref, count in waiting.items() if count == 0], []
    while ready:
        ref = ready.pop()
        order.append(ref)
        for source in back[ref]:
            waiting[source] -= 1
            if waiting[source] == 0:
                ready.append(source)
    return order, [ref for ref, count in waiting.items() if count]


def _reversed(edges: Mapping[Ref, set[Ref]], among: Iterable[Ref]) -> dict[Ref, set[Ref]]:
    back: dict[Ref, set[Ref]] = {ref: set() for ref in among}
    for ref in back:
        for target in edges[ref]:
            if target in back:
                back[target].add(ref)
    return back
