"""For honest programs the plan holds every call that running them makes."""

from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.reviewed import load_served
from kernel_gateway.policy.plan import ANY
from kernel_gateway.policy.review import Definition, review

CATALOG, _ = load_served()
NAMES = [each.name for each in CATALOG.operations]
MOST = 10_000  # more than any of these programs calls


class Recorder:
    """The names of a kernel, with a count where the channel would be."""

    def __init__(self):
        self.made = Counter()
        self.namespace = {
            "image_ops": SimpleNamespace(**{name: self.function(f"image_ops:{name}") for name in NAMES}),
            "call_tool": lambda name, arguments=None: self.call(name),
            "call_tools": lambda calls: [self.call(name) for name, _ in calls],
        }

    def function(self, operation):
        return lambda **arguments: self.call(operation)

    def call(self, operation):
        self.made[operation] += 1
        return {"id": "x", "items": [1, 2, 3]}

    def run(self, code):
        self.made.clear()
        exec(compile(code, "<cell>", "exec"), self.namespace)
        return dict(self.made)


def indented(lines):
    return [f"    {line}" for line in lines]


operation = st.sampled_from(NAMES)
number = st.integers(0, 4)
iterable = st.one_of(
    number.map(lambda n: f"range({n})"),
    st.tuples(number, number).map(lambda each: f"range({each[0]}, {each[1]})"),
    st.integers(0, 6).map(lambda n: f"range({n}, -3, -2)"),
    st.lists(number, max_size=4).map(str),
    number.map(lambda n: f"[1, 2, 3, 4][:{n}]"),
    number.map(lambda n: f"list(range({n})) + [7]"),
    st.sampled_from(['zip("ab", "abc")', 'enumerate("abc")', '{"a": 1, "b": 2}.items()', "found", "sorted(found)",
                     'fetch()["items"]', "known", "reversed(known)", "[n for n in known if n]", "known[-2:]",
                     "{n for n in known for m in found}"]),
)  # fmt: skip
call = st.one_of(
    operation.map(lambda name: f"image_ops.{name}(id=1)"),
    operation.map(lambda name: f'call_tool("image_ops:{name}", {{"id": 1}})'),
    st.sampled_from(["fetch()", "twice()", "maker()()", "Worker().work()", "worker.work()", "shortcut(id=1)",
                     "down(3)", "even(4)", "pages_of(2)", "list(lazily(3))", "server.quota_get()", "held[0](id=1)",
                     "apply(fetch)", "apply(lambda: fetch())", "call_tools(batch)", "Worker.static()", "decorated()",
                     'call_tool(word, {"id": 1})']),
)  # fmt: skip
expression = st.one_of(
    call,
    st.tuples(call, iterable).map(lambda each: f"[{each[0]} for n in {each[1]}]"),
    st.tuples(call, iterable, iterable).map(lambda each: f"[{each[0]} for n in {each[1]} for m in {each[2]} if n]"),
    st.tuples(call, call).map(lambda each: f"{each[0]} if found else {each[1]}"),
    st.tuples(call, call).map(lambda each: f"({each[0]}, {each[1]})"),
    st.tuples(call, iterable).map(lambda each: f"list(map(lambda n: {each[0]}, {each[1]}))"),
    st.tuples(call, iterable).map(lambda each: f"sum(1 for n in {each[1]} if {each[0]})"),
    iterable.map(lambda each: f"list(map(fetch_one, {each}))"),
    iterable.map(lambda each: f'call_tools([("image_ops:jobs_get", {{"id": n}}) for n in {each}])'),
    call.map(lambda each: f'f"{{{each}!r:>3}}"' if '"' not in each else each),
)
simple = st.one_of(expression.map(lambda each: [each]), expression.map(lambda each: [f"got = {each}"]))


def compound(inner):
    block = st.lists(inner, min_size=1, max_size=3).map(lambda parts: [line for part in parts for line in part])
    return st.one_of(
        st.tuples(iterable, block).map(lambda each: [f"for n in {each[0]}:", *indented(each[1])]),
        st.tuples(block, block).map(
            lambda each: ["if len(found) > 1:", *indented(each[0]), "else:", *indented(each[1])]
        ),
        st.tuples(block, block).map(
            lambda each: ["try:", *indented(each[0]), "    1 / 0", "except ZeroDivisionError:", *indented(each[1])]
        ),
        st.tuples(number, block).map(
            lambda each: [f"left = {each[0]}", "while left:", "    left -= 1", *indented(each[1])]
        ),
        block.map(lambda each: ["def local():", *indented(each), "local()", "local()"]),
        block.map(lambda each: ["match found:", "    case [_, *_]:", *indented(indented(each))]),
    )


program = st.lists(st.recursive(simple, compound, max_leaves=5), min_size=1, max_size=4).map(
    lambda parts: "\n".join(line for part in parts for line in part)
)

HELPERS = """
import functools
found = [1, 2]
known = [1, 2, 3]
batch = [("image_ops:jobs_get", {"id": 1}), ("image_ops:quota_get", {})]
batch.append(("image_ops:uploads_init", {}))
word = "image_ops:jobs_get"
shortcut = image_ops.jobs_create
server = image_ops
held = [image_ops.jobs_get]
def fetch():
    return image_ops.jobs_get(id=1)
def fetch_one(n):
    return fetch()
def twice():
    fetch()
    return [image_ops.jobs_create(id=n) for n in range(2)]
def maker():
    def inner():
        return image_ops.quota_get()
    return inner
def down(n):
    return image_ops.quota_get() if n == 0 else down(n - 1)
def even(n):
    image_ops.uploads_init()
    return True if n == 0 else odd(n - 1)
def odd(n):
    return not even(n - 1)
def lazily(n):
    for _ in range(n):
        yield fetch()
def pages_of(n):
    return [page for page in lazily(n)]
def apply(function):
    return [function() for _ in range(3)]
def again(function):
    @functools.wraps(function)
    def inner():
        function()
        return function()
    return inner
@again
def decorated():
    return image_ops.quota_get()
class Worker:
    def __init__(self):
        image_ops.uploads_init()
    def work(self):
        return self.part() or self.part()
    def part(self):
        return image_ops.jobs_get(id=1) and None
    @staticmethod
    def static():
        return fetch()
worker = Worker()
"""


def assert_covers(found, made, code):
    assert all(found.plan.calls.get(each, 0) >= count for each, count in made.items()) or (
        sum(max(0, count - found.plan.calls.get(each, 0)) for each, count in made.items())
        <= found.plan.calls.get(ANY, 0)
    ), (code, made, found.plan)


@settings(max_examples=300, deadline=None)
@given(program)
def test_the_plan_covers_what_one_cell_calls(code):
    whole = f"{HELPERS}\n{code}"
    found = review(whole, CATALOG, {}, (), MOST)
    assert_covers(found, Recorder().run(whole), code)
    assert ANY not in found.plan.calls, code


@settings(max_examples=300, deadline=None)
@given(program, program)
def test_the_plan_covers_what_later_cells_call_through_the_helpers_of_earlier_ones(second, third):
    recorder, helpers = Recorder(), {}
    for code in (HELPERS, second, third):
        found = review(code, CATALOG, helpers, (), MOST)
        assert_covers(found, recorder.run(code), code)
        assert "unknown_name" not in {each.rule for each in found.violations}
        helpers |= {name: Definition.of(each.canonical()) for name, each in found.definitions.items()}


@pytest.mark.parametrize(
    ("first", "second", "calls"),
    [
        ("def get():\n    return image_ops.jobs_get(id=1)", "get()\nget()", {"image_ops:jobs_get": 2}),
        ("def get():\n    return image_ops.jobs_get(id=1)", "def get():\n    return 1\nget()", {}),
        ("create = image_ops.jobs_create", "create(id=1)", {"image_ops:jobs_create": 1}),
        ("api = image_ops", "api.jobs_get(id=1)", {"image_ops:jobs_get": 1}),
        ("word = 'a'\nrows = [image_ops.jobs_get(id=n) for n in range(3)]", "print(rows, word)", {}),
        ("import math as m", "m.sqrt(2)", {}),
        ("done = list(map(lambda n: image_ops.jobs_get(id=n), range(3)))", "print(done)", {}),
        (
            "def pages():\n    yield image_ops.jobs_get(id=1)\nwaiting = pages()",
            "next(waiting)",
            {"image_ops:jobs_get": 50},
        ),
        ("later = (image_ops.jobs_get(id=n) for n in range(3))", "list(later)", {"image_ops:jobs_get": 50}),
        (
            "ids = list(range(30))",
            "ids = [1, 2]\nfor n in ids:\n    image_ops.jobs_get(id=n)",
            {"image_ops:jobs_get": 2},
        ),
        (
            "ids = list(range(30))",
            "def other():\n    ids = [1]\nfor n in ids:\n    image_ops.jobs_get(id=n)",
            {"image_ops:jobs_get": 50},
        ),
        ("async def get():\n    return image_ops.jobs_get(id=1)", "await get()", {"image_ops:jobs_get": 1}),
    ],
)
def test_what_an_earlier_cell_defined_is_known(first, second, calls):
    helpers = review(first, CATALOG, {}, (), 50).definitions
    assert review(second, CATALOG, helpers, (), 50).plan.calls == calls
