"""One decision: the schema, 500 operations of ten servers, 300 rules, every caller's view and every slice known."""

import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from catalog import Catalog, Operation
from kernel_gateway.policy import golden
from kernel_gateway.policy.authorizer import CedarAuthorizer
from kernel_gateway.policy.request import Request
from kernel_gateway.policy.rule_set import RuleSet
from kernel_gateway.policy.rules import baseline, parse
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.policy.slices import Facts, Slice, Slices, policy_set
from tests.bench.measurement import Bar, Row, in_turn
from tests.bench.rig import Rig

OPERATIONS, SERVERS, RULES = 500, 10, 300
_NEW = itertools.count()  # what no question before had
_ASKED = 100  # decisions of a round, each on another operation
# What an operator's rule is about, for twenty of them; the last one is about everything and looked at each time.
_SCOPES = (
    *('principal, action, resource == Kernel::Operation::"{operation}"',) * 12,
    *('principal, action in Kernel::Action::"change", resource in Kernel::Server::"{server}"',) * 3,
    *('principal in Kernel::Role::"role{number}", action, resource',) * 3,
    'principal in Kernel::Organisation::"organisation{number}", action, resource',
    "principal, action, resource",
)


class Whole(Slices):
    """Every rule for every request, as Cedar itself would."""

    def of(self, facts: Facts) -> Slice:
        if (found := self._slices.get(facts)) is None:
            found = self._slices[facts] = Slice(self._rules, policy_set(self._rules))
        return found


async def decision(rig: Rig) -> list[Row]:
    operations = list(_operations())
    text = "\n".join(_rules(operations, RULES - len(baseline())))
    row = golden.table()[0]
    principal = replace(row.principal, scopes=frozenset(operation.scope for operation in operations))
    questions = [
        Request(principal, "call", operation.id, operation.scope, replace(row.context, risk="medium"))
        for operation in operations[:: OPERATIONS // _ASKED]
    ]
    sliced, whole = (_authorizer(text, operations, whole=each) for each in (False, True))
    if any(sliced.decide(each) != whole.decide(each) or not sliced.decide(each).allowed for each in questions):
        raise RuntimeError("a slice decides otherwise than the whole set")

    async def ours() -> Sequence[float]:
        return _timed(sliced, questions)

    async def theirs() -> Sequence[float]:
        return _timed(whole, questions)

    name = "a decision: schema, 500 operations, 300 policies"
    samples = await in_turn(ours, theirs, rounds=rig.rounds(10), warm_up=1, progress=rig.counting(name))
    peer, note = "the same with every policy looked at", "processor time, which it is all of"
    return [Row(name, "ms", samples[0], peer, samples[1], Bar(0.2, "value"), note)]


def _timed(authorizer: CedarAuthorizer, questions: Iterable[Request]) -> list[float]:
    """Processor time: a decision waits for nothing, and other processes are not its cost. Each is asked for once."""
    times = []
    for asked in questions:
        question = replace(asked, context=replace(asked.context, argument_bytes=next(_NEW)))
        started = time.thread_time_ns()
        authorizer.decide(question)
        times.append((time.thread_time_ns() - started) / 1e6)
    return times


def _operations() -> Iterable[Operation]:
    for number in range(OPERATIONS):
        server = f"api{number % SERVERS}"
        yield replace(
            golden.CATALOG.operations[number % 2],
            id=f"{server}:operation{number}",
            server=server,
            name=f"operation{number}",
            scope=f"{server}.part{number % 5}",
        )


def _rules(operations: Sequence[Operation], count: int) -> Iterable[str]:
    for number in range(count):
        operation = operations[number % OPERATIONS]
        about = _SCOPES[number % len(_SCOPES)].format(operation=operation.id, server=operation.server, number=number)
        when = f'context.argument_bytes > {1000 + number} && principal.client == "client{number}"'
        yield f'@id("own{number}") @reason("no") forbid ({about}) when {{ {when} }};'


def _authorizer(text: str, operations: Sequence[Operation], *, whole: bool) -> CedarAuthorizer:
    rules = RuleSet((*baseline(), *parse(text, "own.cedar")))
    if whole:
        rules.__dict__["slices"] = Whole(rules.rules)
    return CedarAuthorizer(
        rules,
        PolicySettings(),
        Catalog(tuple(operations)),
        calls_per_cell=20,
        calls_per_session=100,
        secret=b"bench",
    )
