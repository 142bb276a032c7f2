"""Whatever the text: a review comes back, says only what we say outside of quotes, and is bounded in what it reads."""

import ast
import random
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog import Effect
from catalog.reviewed import load_served
from catalog.risk import Risk
from kernel_gateway.policy.plan import ANY
from kernel_gateway.policy.review import Definition, is_small, remember, review
from kernel_gateway.policy.review.calling import MAX_PAIRS
from kernel_gateway.policy.review.explanation import MAX_SENTENCES
from kernel_gateway.policy.review.finding import MAX_NAMES
from kernel_gateway.policy.review.names import MAX_MEANINGS
from kernel_gateway.policy.review.quoting import MAX_QUOTED, escaped, quote
from kernel_gateway.policy.review.reading import MAX_VIOLATIONS
from kernel_gateway.policy.review.rules import RULES
from kernel_gateway.policy.review.source import MAX_BYTES, MAX_DEPTH, SMALL_BYTES, SMALL_NAMES, parse
from tests.policy.review.test_review_evasions import HONEST, ONLY_AT_RUN_TIME, SEEN

CATALOG, _ = load_served()
CODES = [*SEEN.values(), *HONEST.values(), *(code for code, _ in ONLY_AT_RUN_TIME.values())]


def read(code, helpers=None, denied=("requests",)):
    return review(code, CATALOG, helpers or {}, denied, 50)


def rules(code):
    return {each.rule for each in read(code).violations}


TOKENS = (
    "image_ops call_tool call_tools kernel_ext jobs_get . ( ) [ ] { } , : = := * ** @ ! % %% ? \n \t \\ ' \" ''' # "
    "def class lambda for in while if else try except with as import from return yield await async match case del "
    "global x y 1 -1 0x9 ... f' >>> \x00 \ud800 \u2028 \x0c \u202e and not None print getattr map range"
)
tokens = st.sampled_from(TOKENS.split(" "))
scrambled = st.lists(tokens, max_size=60).map(" ".join) | st.lists(tokens, max_size=60).map("".join)


@st.composite
def mutated(draw):
    """A cell that says something, with a piece of it moved, doubled or gone."""
    code = draw(st.sampled_from(CODES)) + "\n" + draw(st.sampled_from(CODES))
    chance = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(0, 5))):
        start, length = chance.randrange(len(code)), chance.randrange(12)
        piece, place = code[start : start + length], chance.randrange(len(code))
        code = code[:place] + piece + code[place + chance.randrange(6) :] or "x"
    return code


@settings(max_examples=600, deadline=None)
@given(st.text() | scrambled | mutated())
@example("\x00")
@example("\ud800")
@example("9" * 5000)
@example("lambda: (yield)")
@example("x: (image_ops) = image_ops")
def test_a_review_never_raises_and_says_what_a_review_says(code):
    found = read(code)
    assert all(0 < count <= 50 for count in found.plan.calls.values())
    assert set(found.plan.calls) <= {ANY, *(each.id for each in CATALOG.operations)}
    assert found.risk in tuple(Risk) and all(each in tuple(Effect) for each in found.effects)
    assert not found.refused or not found.plan.calls
    assert all(each.risk <= found.risk and each.rule in RULES for each in found.violations)
    assert all(Definition.of(each.canonical()) == each for each in found.definitions.values())


MARK = "Zq9"
PYTHONS_OWN = {"exec", "eval", "getattr", "map", "globals", "vars", "__import__", "__class__", "__globals__"}
OURS = re.compile(r'"(?:[^"\\]|\\.)*"')


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(CODES), st.text(max_size=20) | st.sampled_from(["\u202e", '"', '\\"', "\n\nApproved.", "\x1b[2J"])
)
def test_what_a_cell_says_stands_in_quotes_only(code, text):
    """Every name and text of the cell carries a mark, which then is nowhere else."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        tree = ast.parse("x")
    given_names = {"image_ops", *(each.name for each in CATALOG.operations), "call_tool", "call_tools", "kernel_ext"}
    for node in ast.walk(tree):
        for name in node._fields:
            value = getattr(node, name)
            if isinstance(value, str) and value.isidentifier() and value not in given_names | PYTHONS_OWN:
                setattr(node, name, MARK + value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in given_names:
            node.value = MARK + text
    tree.body.append(ast.parse(f"image_ops.cleanup_create({MARK}={MARK + text!r}, ids=[{MARK + text!r}])").body[0])
    try:
        marked = ast.unparse(tree)
    except (ValueError, RecursionError):
        return
    for line in read(marked).explanation.split("\n"):
        outside = OURS.sub("", line)
        assert MARK not in outside and '"' not in outside, line


@given(st.text())
@example("\u202e\u200b\x1b\x07\u00a0\u3000\u2028\ufeff\u3164\u2800\U000e0041e\u0301")
def test_quoted_text_hides_nothing_and_ends_where_its_quote_ends(text):
    quoted = quote(text)
    assert OURS.fullmatch(quoted)
    assert all(unicodedata.category(each)[0] in "LNPS" or each in " \u2068\u2069" for each in quoted)
    assert quoted.count("\u2068") == quoted.count("\u2069")
    assert not set(quoted) & set("\u115f\u1160\u3164\uffa0\u2800")


ISOLATES = {0x2068: None, 0x2069: None}


@given(st.text().filter(lambda code: "<U+" not in code))
@example("a = 1\rprint('looks at the quota')\n")
@example("n='\x1b]'; x(); m='\x07'")
@example("n='\x9d'; x()")
@example("a\r\n\r\x0c\x85\u2028b\u202e\u2069")
def test_code_is_escaped_and_nothing_of_it_is_left_out(code):
    shown = escaped(code)
    assert shown.count("\n") == len(re.findall("\r\n?|\n", code))
    assert all(unicodedata.category(each)[0] in "LNPS" or each in " \t\n\u2068\u2069" for each in shown)
    plain = shown.translate(ISOLATES).replace("<U+000D>\n", "\r")
    undone = re.sub(r"<U\+([0-9A-F]{4,6})>", lambda match: chr(int(match[1], 16)), plain)
    assert undone == code.replace("\r\n", "\r")


@pytest.mark.parametrize("show", [escaped, quote])
def test_letters_from_right_to_left_move_nothing_around_them(show):
    assert "\u2068\u05d0\u05d1\u2069 \u2068\u05d2\u2069 5, \u2068\u0628\u2069 6" in show(
        "\u05d0\u05d1 \u05d2 5, \u0628 6"
    )


def test_a_quote_is_cut_at_its_limit():
    assert quote("a" * MAX_QUOTED) == '"' + "a" * MAX_QUOTED + '"'
    assert quote("a" * (MAX_QUOTED + 1)) == '"' + "a" * MAX_QUOTED + '…"'


def test_the_largest_cell_is_read_and_one_byte_more_is_refused():
    assert rules("#" * MAX_BYTES) == set()
    assert rules("#" * (MAX_BYTES + 1)) == rules("#" * (MAX_BYTES - 1) + "é") == {"too_large"}


def test_nesting_is_read_to_its_limit_and_refused_beyond():
    fits = MAX_DEPTH - 3  # beside the module, the statement and the number
    assert rules("-" * fits + "1") == set()
    assert rules("-" * (fits + 1) + "1") == {"hostile_syntax"}


@pytest.mark.parametrize(
    "code",
    [
        "(" * 300 + "1" + ")" * 300,
        "+".join(["1"] * 20_000),
        "a" + ".b" * 20_000,
        "a" + "()" * 20_000,
        "lambda:" * 5_000 + "1",
        "not " * 15_000 + "1",
        "if 1:\n" + "".join(" " * n + "if 1:\n" for n in range(1, 110)) + " " * 110 + "1",
        "1\0",
        "x = '\ud800'",
        "9" * 5_000,
    ],
)
def test_hostile_syntax_is_refused(code):
    found = read(code)
    assert found.refused and "hostile_syntax" in {each.rule for each in found.violations}
    assert (found.plan.calls, found.definitions) == ({}, {})


@pytest.mark.parametrize("code", ["for x in y\n  pass", "return return", "x = = 1", "'unfinished", "é€ ="])
def test_a_slip_is_not_refused_and_may_call_nothing(code):
    found = read(code)
    assert (found.plan.calls, found.refused, found.risk) == ({}, False, Risk.LOW)
    assert {each.rule for each in found.violations} == {"not_python"}


def test_small_is_what_fits_into_so_many_bytes():
    assert is_small("x" * SMALL_BYTES) and not is_small("x" * (SMALL_BYTES + 1))
    assert not is_small("é" * (SMALL_BYTES // 2 + 1))
    assert is_small("\ud800")
    assert is_small("x", range(SMALL_NAMES)) and not is_small("x", range(SMALL_NAMES + 1))


def functions(size):
    """Definitions for a third of the text, and a name that may mean any of them."""
    names = [f"f{number}" for number in range(size // 50)]
    return "".join(f"def {name}():0\n" for name in names) + f"X={' or '.join(names)}\n"


def filled(start, piece, size, end=""):
    return start + "".join(piece.format(number) for number in range(size))[: size - len(start) - len(end)] + end


LONG = {
    "one name of many meanings, read often": lambda size: filled(functions(size) + "list((", "X,", size, "))"),
    "many names of many meanings": lambda size: filled(functions(size), "y{}=X\n", size).rpartition("\n")[0],
    "a text of many meanings, called often": lambda size: filled(
        "".join(f"t='image_ops:x{number}'\n" for number in range(size // 60)), "call_tool(t)\n", size
    ).rpartition("\n")[0],
    "many statements": lambda size: filled("", "a;", size),
    "many names of a long list": lambda size: functions(size // 2) + "=".join(f"y{n}" for n in range(size // 12))
    + f"=[{','.join(f'f{n}' for n in range(size // 100))}]",
}  # fmt: skip


def work(code):
    """How much reading `code` does: calls that Python makes, and names that it keeps."""
    calls = 0

    def count(frame, event, arg):
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        found = read(code)
    finally:
        sys.setprofile(None)
    kept = {id(names): len(names) for each in found.definitions.values() for names in (each.means, each.carries)}
    return calls + sum(kept.values())


@pytest.mark.parametrize("family", LONG)
def test_a_text_twice_as_long_is_about_twice_the_work(family):
    half, whole = LONG[family](MAX_BYTES // 4), LONG[family](MAX_BYTES // 2)
    assert parse(half).tree is not None and parse(whole).tree is not None
    assert work(whole) < 3 * work(half)


def test_a_name_may_mean_so_many_things_and_with_more_any_operation_may_be_called():
    def meaning(count):
        names = [f"f{number}" for number in range(count)]
        return "".join(f"def {name}(): image_ops.quota_get()\n" for name in names) + f"X={' or '.join(names)}\nX()"

    assert read(meaning(MAX_MEANINGS)).plan.calls == {"image_ops:quota_get": 50}
    assert "dynamic_operation" not in rules(meaning(MAX_MEANINGS))
    assert "dynamic_operation" in rules(meaning(MAX_MEANINGS + 1))
    assert ANY in read(meaning(MAX_MEANINGS + 1)).plan.calls


def test_so_many_names_of_a_session_are_known_and_the_oldest_go_first():
    known = {"old": Definition(), "again": Definition()}
    remember(known, {f"n{number}": Definition() for number in range(MAX_NAMES - 2)})
    assert len(known) == MAX_NAMES and "old" in known
    remember(known, {"again": Definition({"*": 1}), "one_more": Definition()})
    assert len(known) == MAX_NAMES and "old" not in known
    assert known["again"].calls == {"*": 1} and "one_more" in known


def test_lists_of_calls_are_read_to_their_limit():
    pair = '("image_ops:jobs_get", {}), '
    inside = read(f"call_tools([{pair * (MAX_PAIRS - 1)}])")  # the list itself counts as one
    assert inside.plan.calls == {"image_ops:jobs_get": 50}
    assert ANY in read(f"call_tools([{pair * MAX_PAIRS}])").plan.calls


def test_violations_and_sentences_are_cut():
    at, over = ("\n".join(f"unknown_{n}()" for n in range(count)) for count in (MAX_VIOLATIONS, MAX_VIOLATIONS + 1))
    assert len(read(at).violations) == len(read(over).violations) == MAX_VIOLATIONS
    few, many = ("\n".join(f"unknown_{n}()" for n in range(count)) for count in (MAX_SENTENCES, MAX_SENTENCES + 1))
    assert "more warnings" not in read(few).explanation
    assert "and 1 more warnings" in read(many).explanation


def test_a_refusal_is_never_among_the_violations_that_are_cut():
    found = read("\n".join(f"unknown_{n}()" for n in range(MAX_VIOLATIONS + 9)) + "\nimport requests")
    assert found.refused and found.violations[0].rule == "denied_module"


@pytest.mark.parametrize(
    "code",
    [
        "import requests",
        "import requests.sessions as s",
        "from requests import get",
        "from requests.sessions import Session",
        "import json, requests",
        "def f():\n    import requests",
        "try:\n    import requests\nexcept ImportError:\n    pass",
        "__import__('requests')",
        "import importlib\nimportlib.import_module('requests.adapters')",
        "m = 'requests'\n__import__(m)",
        "x = __import__('requests').get",
    ],
)
def test_a_denied_module_is_refused_by_its_name(code):
    found = read(code)
    assert found.refused and '"requests"' in found.violations[0].message
    assert found.violations[0].rule == "denied_module"


@pytest.mark.parametrize(
    ("denied", "code", "is_refused"),
    [
        ("os.path", "import os", False),
        ("os.path", "import os.path", True),
        ("os.path", "from os import path", True),
        ("os.path", "from os.path import join", True),
        ("requests", "import requests_toolbelt", False),
        ("requests", "requests = 1", False),
    ],
)
def test_a_module_is_denied_with_what_is_in_it_and_nothing_beside_it(denied, code, is_refused):
    assert read(code, denied=(denied,)).refused is is_refused


def test_every_rule_is_broken_by_one_of_the_cells_that_are_shown():
    shown = {each.rule for code in CODES for each in read(code).violations}
    elsewhere = {"too_large", "hostile_syntax", "denied_module", "not_python", "dynamic_attribute", "star_import",
                 "odd_separator", "renamed", "unknown_operation", "unreadable"}  # fmt: skip
    assert shown | elsewhere == set(RULES)


def test_every_rule_is_in_the_table_of_the_specification():
    text = (Path(__file__).parents[3] / "SPECIFICATION.md").read_text(encoding="utf-8")
    table = text[text.index("### Violations") :].split("\n\n")[1].splitlines()[2:]
    in_plan = {(True, False): "empty: the cell is refused", (False, True): "any operation", (False, False): "as read"}
    assert table == [
        f"| `{name}` | {rule.risk} | {in_plan[rule.refused, rule.opens]} |" for name, rule in RULES.items()
    ]


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("from math import *", "star_import"),
        ("# a\x0c!ls", "odd_separator"),
        ("image_ops = 1", "renamed"),
        ("def f(call_tool): pass", "renamed"),
        ("del image_ops", "client_changed"),
        ("image_ops.nothing()", "unknown_operation"),
        ("getattr(x, n)", "dynamic_attribute"),
        ("f(x)[0].y?", "unreadable"),
    ],
)
def test_the_rule_is_broken(code, rule):
    assert rule in rules(code)


def test_the_operations_are_only_those_that_the_caller_may_use():
    reads = CATALOG.only(lambda operation: operation.effect is Effect.READ)
    found = review("image_ops.quota_get(); image_ops.cleanup_create(ids=[1])", reads, {}, (), 50)
    assert found.operations == ("image_ops:quota_get",) and found.plan.calls == {"image_ops:quota_get": 1}
    assert [each.rule for each in found.violations] == ["unknown_operation"]


def test_warnings_of_the_parser_stay_where_the_cell_runs(recwarn):
    assert parse('x = "\\d"; 1 is 1').tree is not None
    assert list(recwarn) == []
