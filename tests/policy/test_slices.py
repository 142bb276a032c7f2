"""A slice decides as the whole set does: the same answer, the same rules, the same that cannot be judged."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_gateway.policy import golden
from kernel_gateway.policy.rule_set import RuleSet
from kernel_gateway.policy.rules import baseline, parse
from kernel_gateway.policy.slices import MAX_SETS, MAX_SLICES, Slice, Slices, policy_set
from tests.policy.questions import authorizer, question

ROLES, SERVERS = ["dev", "ops", ""], ["golden", "other"]
OPERATIONS = [operation.id for operation in golden.CATALOG.operations]
ACTIONS = ["read", "write", "delete", "blob_write", "search", "execute", "use", "operate", "change", "in_cell"]


def entity(kind, names):
    return st.sampled_from(names).map(lambda name: f'Kernel::{kind}::"{name}"')


roles = entity("Role", ROLES) | entity("Organisation", ["golden", "other"])
resources = entity("Operation", OPERATIONS) | entity("Server", SERVERS) | entity("Gateway", ["this"])
actions = entity("Action", ACTIONS)
principals = st.one_of(
    st.just("principal"),
    st.just("principal is Kernel::Session"),
    st.just('principal == Kernel::Session::"asking"'),
    roles.map("principal in {}".format),
    roles.map("principal is Kernel::Session in {}".format),
)
asked_actions = st.one_of(
    st.just("action"),
    actions.map("action == {}".format),
    actions.map("action in {}".format),
    st.lists(actions, max_size=3).map(lambda each: f"action in [{', '.join(each)}]"),
)
asked_resources = st.one_of(
    st.just("resource"),
    resources.map("resource == {}".format),
    resources.map("resource in {}".format),
    st.sampled_from(["Operation", "Server", "Gateway"]).map("resource is Kernel::{}".format),
    entity("Server", SERVERS).map("resource is Kernel::Operation in {}".format),
)
conditions = st.sampled_from(
    [
        "",
        "when { context.approved }",
        "unless { context.has_turn }",
        'when { principal.role == "ops" }',
        "when { context.argument_bytes + 9223372036854775807 > 10 }",  # an error for all but nothing
        "when { context.risk > 1 && context.calls_this_cell < 3 }",
    ]
)


@st.composite
def policies(draw):
    """Text of a few policies that parse; what the schema finds impossible is another test's."""
    text = []
    for number in range(draw(st.integers(1, 8))):
        effect, note = draw(st.sampled_from([("permit", ""), ("forbid", '@reason("no")')]))
        scope = ", ".join((draw(principals), draw(asked_actions), draw(asked_resources)))
        text.append(f'@id("r{number}") {note} {effect} ({scope}) {draw(conditions)};')
    return "\n".join(text)


class Whole(Slices):
    """The whole set for every request."""

    def of(self, facts):
        return Slice(self._rules, policy_set(self._rules))


questions = st.builds(
    lambda asked, role, organisation, **context: question(
        *asked, principal={"role": role, "organisation": organisation}, **context
    ),
    st.sampled_from(
        [
            *(("call", each) for each in OPERATIONS),
            ("blob_write", "golden", "golden.make"),
            ("search", ""),
            ("read", ""),
        ]
    ),
    st.sampled_from(ROLES),
    st.sampled_from(["golden", "other", "third"]),
    approved=st.booleans(),
    has_turn=st.booleans(),
    argument_bytes=st.sampled_from([0, 1]),
    calls_this_cell=st.integers(0, 5),
    risk=st.sampled_from(["low", "high"]),
)


class Unchecked(RuleSet):
    """Without the schema's opinion: slices are right for any rules that parse."""

    def __post_init__(self):
        """Nothing is refused."""


@settings(deadline=None, max_examples=150)
@given(text=policies(), asked=st.lists(questions, min_size=1, max_size=4), with_baseline=st.booleans())
def test_a_slice_decides_as_the_whole_set(text, asked, with_baseline):
    rules = (*(baseline() if with_baseline else ()), *parse(text, "own.cedar"))
    sliced, whole = authorizer(), authorizer()
    sliced.rules, whole.rules = Unchecked(rules), Unchecked(rules)
    whole.rules.__dict__["slices"] = Whole(rules)
    for each in asked:
        ours, theirs = sliced.explain(each), whole.explain(each)
        assert dataclasses.replace(ours, considered=0) == dataclasses.replace(theirs, considered=0)
        assert ours.considered <= theirs.considered == len(rules)


def test_what_a_scope_rules_out_is_not_looked_at():
    text = "\n".join(
        f'@id("r{number}") @reason("no") forbid (principal, action, resource == Kernel::Operation::"other:op{number}");'
        for number in range(200)
    )
    large = authorizer(text)
    assert large.explain(question()).considered == authorizer().explain(question()).considered


def test_slices_are_kept_up_to_a_number_and_made_again():
    judge = authorizer('@id("own") @reason("no") forbid (principal in Kernel::Role::"x", action, resource);')
    for number in range(MAX_SLICES + 10):
        judge._views._views.clear()
        assert judge.decide(question(principal={"role": f"role{number}"})).allowed
    slices = judge.rules.slices
    assert len(slices._slices) <= MAX_SLICES and len(slices._sets) <= MAX_SETS
