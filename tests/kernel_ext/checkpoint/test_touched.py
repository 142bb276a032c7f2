"""What a cell's text tells of what it can have changed."""

import textwrap

import pytest

from kernel_ext.checkpoint.touched import Wild, of_code, of_source


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = y", {"x", "y"}),
        ("del x", {"x"}),
        ("x += 1", {"x"}),
        ("x.a[0].b = 1", {"x"}),
        ("import a.b, c as d\nfrom e import f, g as h", {"a", "d", "f", "h"}),
        ("def f(p=x):\n    global y\n    y.append(z)", {"f", "x", "y", "z"}),
        ("class C(B):\n    k = x\n    def m(self): return y", {"C", "B", "k", "m", "x", "y"}),
        ("with a as b: pass", {"a", "b"}),
        ("for i, (j, *k) in l: pass", {"i", "j", "k", "l"}),
        ("if (n := 1): pass", {"n"}),
        ("try: x\nexcept E as e: pass", {"x", "E", "e"}),
        ("match s:\n    case [a, *b]: pass\n    case {'k': c, **d}: pass\n    case K(p=q) as r: pass", set("sabcdKqr")),
        ("f'{x!r:{y}}'", {"x", "y"}),
        ("[i for i in x if y]", {"i", "x", "y"}),
        ("lambda a=x: y", {"x", "y"}),
        ("x: list[int] = []", {"x", "list", "int", "__annotations__"}),
        ("await x", {"x"}),
    ],
)
def test_every_name_that_stands_in_it_counts(source, names):
    found = of_source(source)
    assert found.names == names
    assert found.wild is Wild.NO


def test_what_it_reads_is_told_from_what_it_only_binds():
    assert of_source("x = y\nz += 1").loads == {"y", "z"}


@pytest.mark.parametrize(
    "source",
    [
        "globals()['x'] = 1", "locals()", "vars()['x'] = 1", "exec('x = 1')", "eval('x')", "%time x = 1", "!ls",
        "x = !ls", "x?", "get_ipython().run_cell('x = 1')", "import __main__", "import sys; sys.modules['__main__']",
        "f.__globals__", "import inspect; inspect.currentframe()", "import gc", "import builtins", "import ctypes",
        "importlib.import_module('__main__')", "sys._getframe().f_globals", "def f():\n    exec('x = 1')", "x = (",
    ],
)  # fmt: skip
def test_what_reaches_every_variable_is_taken_to_change_every_one(source):
    assert of_source(source).wild is Wild.NOW


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def __del__(self): x.append(1)", "import atexit", "loop.call_later(1, f)", "sys.settrace(f)",
        "logging.getLogger().addHandler(h)", "signal.setitimer(signal.ITIMER_REAL, 1)", "weakref.finalize(a, f)",
        "fig.canvas.mpl_connect('x', f)", "get_ipython().events.register('post_run_cell', f)",
    ],
)  # fmt: skip
def test_what_has_code_run_later_counts_from_then_on(source):
    assert of_source(source).wild is Wild.FROM_NOW_ON


def test_harmless_cells_reach_no_more_than_they_name():
    for source in ("df.eval('a + b')", "signal = 1", "model.modes", "print('text')"):
        assert of_source(source).wild is Wild.NO


def reach(source, *names):
    namespace: dict = {}
    exec(textwrap.dedent(source), namespace)
    return of_code(iter([namespace[name] for name in names]), namespace)


def test_a_function_reaches_the_globals_of_all_code_in_it():
    found = reach(
        """
        def f():
            def inner():
                return [deep for _ in more]
            return inner, here
        """,
        "f",
    )
    assert {"deep", "more", "here"} <= found.names
    assert found.wild is Wild.NO


def test_a_function_that_reaches_everything_makes_its_callers_do_so():
    assert reach("def f():\n    def g(): globals()['x'] = 1\n    g()", "f").wild is Wild.NOW
    assert reach("class A:\n    def __del__(self): pass", "A").wild is Wild.FROM_NOW_ON


def test_names_of_a_function_of_another_module_mean_others():
    namespace = {}
    exec("def f(): return x", other := {})
    assert of_code(iter([other["f"]]), namespace).names == frozenset()
