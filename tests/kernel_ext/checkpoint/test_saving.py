"""A save looks at what its cells can have changed, hands out what changed, and survives what objects do meanwhile."""

import sys
import textwrap
import threading
import types

from kernel_ext.checkpoint.books import Budget, chunks_of
from kernel_ext.checkpoint.tombstone import Tombstone
from tests.kernel_ext.checkpoint.in_image import in_image
from tests.kernel_ext.checkpoint.session import AMPLE, NothingFound, Session, restored

MEBIBYTE = 1 << 20


def units(session):
    return [unit["names"] for unit in session.manifests[session.cell]["units"] if unit["names"][0][0] != "@"]


def changed(session):
    """The variables that the last cell made what they are."""
    found = session.manifests[session.cell]["units"]
    return sorted(name for unit in found if session.cell in unit["cells"] for name in unit["names"] if name[0] != "@")


def raised(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


@in_image
def test_variables_that_share_what_can_change_are_one_unit_and_others_are_not():
    session = Session()
    session.cells(
        textwrap.dedent(
            """
            import math, mmap, numpy as np
            a = [1]; b = a; c = {'deep': [a]}
            class K: pass
            k1, k2 = K(), K()
            def make():
                shared = 0
                return (lambda: shared), (lambda: shared)
            f, g = make()
            x = np.zeros(9); y = x[2:4]; z = np.zeros(9)
            m1 = np.matrix([[1, 2]]); m2 = m1[0]
            anonymous = mmap.mmap(-1, 64); i, j = np.frombuffer(anonymous, 'u1'), np.frombuffer(anonymous, 'u1')
            del anonymous
            s, t, n, m, p, q = 'text', 'text', (1, 2), (1, 2), len, math.sqrt
            """
        )
    )
    found = units(session)
    for names in (["a", "b", "c"], ["K", "k1", "k2"], ["f", "g"], ["x", "y"], ["m1", "m2"], ["i", "j"]):
        assert names in found, (names, found)
    for name in ("z", "s", "t", "n", "m", "p", "q", "math", "np", "make"):
        assert [name] in found, name


@in_image
def test_variables_that_no_longer_share_anything_come_apart():
    session = Session()
    session.cells("a = b = [1]", "a = [2]")
    assert units(session) == [["b"], ["a"]] or units(session) == [["a"], ["b"]]


@in_image
def test_only_what_changed_is_handed_out_and_counted_as_made_by_the_cell():
    session = Session()
    session.cells("import numpy as np\na = np.zeros(500_000); b = [1]; c = 'x'")
    session.cells("1 + 1")
    assert (session.sent, changed(session)) == ({}, [])
    session.cells("a.sum(); len(b); c")
    assert (session.sent, changed(session)) == ({}, [])
    session.cells("a[3] = 1")
    assert changed(session) == ["a"]
    assert sum(session.sent.values()) == MEBIBYTE
    session.cells("b.append(c)")
    assert changed(session) == ["b"]
    assert sum(session.sent.values()) < 300


@in_image
def test_chunks_are_a_mebibyte_and_named_by_their_bytes():
    import hashlib

    session = Session()
    session.cells("import os; data = bytearray(os.urandom(3_000_000)); text = 'x' * 2_500_000")
    for name, data in session.store.items():
        assert hashlib.sha256(data).hexdigest()[:32] == name
        assert len(data) <= MEBIBYTE
    stream = session.unit("text")["stream"]
    assert stream["bytes"] == sum(len(session.store[name]) for name in stream["chunks"])
    assert [len(session.store[name]) for name in stream["chunks"]][:2] == [MEBIBYTE, MEBIBYTE]


@in_image
def test_a_change_by_way_of_a_function_or_an_object_is_noticed():
    session = Session()
    session.cells(
        textwrap.dedent(
            """
            log, seen, total = [], {}, 0
            def note(x): log.append(x)
            class Counter:
                def up(self):
                    global total
                    total += 1
                    helper(self)
            def helper(it): seen[id(it) % 7] = note(1)
            handlers = {'note': note, 'up': Counter().up}
            """
        )
    )
    session.cells("handlers['note'](5)")
    assert changed(session) == ["log"]
    session.cells("handlers['up']()")
    assert {"log", "seen", "total"} <= set(changed(session))


@in_image
def test_what_reaches_past_its_names_makes_everything_be_looked_at():
    session = Session()
    session.cells("a, b = [1], [2]", "exec('a.app' + 'end(2)')")
    assert changed(session) == ["a"]
    session.cells("globals()['b'].append(3)")
    assert changed(session) == ["b"]
    session.cells("kept = [globals()]", "kept[0]['a'].append(3)")
    assert changed(session) == ["a"]
    session.cells("def gen():\n    while True:\n        a.append(1); yield\ng = gen()", "next(g)")
    assert "a" in changed(session)
    session.cells("class D:\n    def __del__(self): b.append(4)\nd = [D()]", "d.clear()")
    assert {"b", "d"} <= set(changed(session))


@in_image
def test_what_is_lost_but_holds_nothing_of_the_session_does_not_make_everything_be_looked_at():
    session = Session()
    session.cells("import sqlite3; database = sqlite3.connect(':memory:'); a = [1]")
    session.namespace["a"].append(2)
    session.cells("database.execute('select 1').fetchall()")
    assert session.unit("a")["cells"] == [1]
    assert session.sent == {}


@in_image
def test_while_a_thread_of_a_cell_lives_everything_is_looked_at():
    session = Session()
    session.cells(
        "import threading; a, go, done = [1], threading.Event(), threading.Event()\n"
        "def work():\n    go.wait(); a.append(2); done.set(); done.wait(); end.wait()\n"
        "end = threading.Event(); t = threading.Thread(target=work); t.start()"
    )
    session.namespace["go"].set()
    session.namespace["done"].wait()
    session.cells("1")
    session.namespace["end"].set()
    session.namespace["t"].join()
    other, _ = restored(session.manifests[session.cell], session.store)
    assert other.namespace["a"] == [1, 2]


@in_image
def test_asked_for_everything_it_finds_what_no_cell_shows():
    session = Session()
    session.cells("a = [1]")
    session.namespace["a"].append(2)
    assert changed(session) == ["a"]
    session.run("1")
    session.save(everything=True)
    assert changed(session) == ["a"]


@in_image
def test_a_stopped_save_forgets_nothing():
    session = Session()
    session.cells("a = [1]")
    before = session.saver._books
    session.run("a.append(2); b = list(range(300_000))")
    from kernel_ext.checkpoint.saver import Stopped

    for after in range(6):
        left = iter([False] * after)
        raised(Stopped, lambda left=left: session.saver.save(AMPLE, session.put, lambda: next(left, True)))
        assert session.saver._books is before
    session.sent = {}
    session.run("c = 3")
    session.save()
    other, _ = restored(session.manifests[session.cell], session.store)
    assert (other.namespace["a"], len(other.namespace["b"]), other.namespace["c"]) == ([1, 2], 300_000, 3)
    assert session.unit("a")["cells"] == [1, 2]


@in_image
def test_a_waiting_cell_stops_it_inside_a_long_pickle_and_inside_an_objects_own_code():
    from kernel_ext.checkpoint.saver import Stopped

    for source in (
        "a = list(range(3_000_000))",
        "class A:\n    def __getstate__(self):\n        while True: pass\na = A()",
        "import time\nclass A:\n    def __reduce__(self): time.sleep(1000)\na = A()",
    ):
        session = Session()
        session.run(source)
        looks = iter([False] * 3)
        raised(Stopped, lambda s=session, n=looks: s.saver.save(AMPLE, s.put, lambda: next(n, True)))


@in_image
def test_a_save_that_was_not_committed_is_handed_out_again():
    session = Session()
    session.run("a = [1]; b = 2")
    first = session.saver.save(AMPLE, session.put, lambda: False)
    session.sent = {}
    second = session.saver.save(AMPLE, session.put, lambda: False)
    assert set(session.sent) == {name for unit in second["units"] for name in chunks_of(unit)}
    session.saver.committed(second)
    session.sent = {}
    assert session.saver.save(AMPLE, session.put, lambda: False)["units"] == first["units"]
    assert session.sent == {}


@in_image
def test_over_the_budget_in_bytes_the_large_is_lost_and_the_small_is_kept():
    session = Session()
    session.run("import numpy as np; big = np.random.rand(300_000); small = [1]")
    manifest = session.save(Budget(60.0, 2 * MEBIBYTE))
    other, lost = restored(manifest, session.store)
    assert lost == {"big": f"it takes more than the {lost['big'].split()[5]} bytes that are left of this save"}
    assert other.namespace["small"] == [1]
    assert sum(session.sent.values()) <= 2 * MEBIBYTE
    session.run("1")
    assert not any("lost" in unit for unit in session.save(AMPLE, everything=True)["units"])


@in_image
def test_exactly_the_budget_in_bytes_is_enough():
    session = Session()
    session.run("x = [1]; y = 'text'")
    session.save()
    needed = sum(session.sent.values())
    for budget, missing in ((needed, 0), (needed - 1, 1)):
        again = Session()
        again.run("x = [1]; y = 'text'")
        manifest = again.save(Budget(60.0, budget))
        assert sum("lost" in unit for unit in manifest["units"]) == missing, budget


@in_image
def test_code_that_never_ends_costs_its_own_unit_alone():
    session = Session()
    session.run("class A:\n    def __getstate__(self):\n        while True: pass\na = A(); b = [1]; c = A()")
    manifest = session.save(Budget(0.5, 1 << 30))
    other, lost = restored(manifest, session.store)
    assert lost["a"] == "saving it takes longer than the 0.5 s of a save allow"
    assert {"a", "c"} <= set(lost)
    assert other.namespace["b"] == [1]


@in_image
def test_whatever_an_objects_own_code_raises_or_does_costs_its_own_unit_alone():
    session = Session()
    errors = (
        "ValueError('bad')",
        "RecursionError",
        "MemoryError",
        "KeyboardInterrupt",
        "SystemExit(1)",
        "BaseException",
    )
    for number, error in enumerate(errors):
        session.run(f"class E{number}:\n    def __reduce__(self): raise {error}\ne{number} = E{number}()")
    session.run(
        textwrap.dedent(
            """
            import sys, gc
            class Meddles:
                def __reduce__(self):
                    print('seen'); print('seen', file=sys.stderr)
                    globals()['added'] = 1
                    globals().pop('removed', None)
                    gc.collect()
                    return Meddles, ()
                def __eq__(self, other): raise ValueError
                __hash__ = None
            meddles = Meddles(); removed = [1]
            deep = []
            for _ in range(100_000): deep = [deep]
            fine = [5]
            """
        )
    )
    shown = sys.stdout
    sys.stdout = out = types.SimpleNamespace(text="", write=lambda text: setattr(out, "text", out.text + text))
    try:
        manifest = session.save()
    finally:
        sys.stdout = shown
    assert out.text == ""
    other, lost = restored(manifest, session.store)
    for number in range(len(errors)):
        assert f"e{number}" in lost
    assert lost["e0"] == "ValueError: bad"
    assert "deep" in lost
    assert other.namespace["fine"] == [5]
    assert isinstance(other.namespace["meddles"], other.namespace["Meddles"])
    session.cells("fine.append(6)")
    other, _ = restored(session.manifests[session.cell], session.store)
    assert other.namespace["fine"] == [5, 6]
    assert other.namespace["added"] == 1
    del session.namespace["deep"]


@in_image
def test_other_threads_print_while_a_save_is_quiet():
    from kernel_ext.checkpoint.quiet import quiet

    shown, texts = sys.stdout, []
    sys.stdout = types.SimpleNamespace(write=texts.append)
    try:
        with quiet():
            print("dropped", end="")
            thread = threading.Thread(target=lambda: sys.stdout.write("kept"))
            thread.start()
            thread.join()
    finally:
        sys.stdout = shown
    assert texts == ["kept"]


@in_image
def test_the_cells_that_made_a_variable_are_named_with_what_they_read():
    session = Session()
    session.cells("x = 1; y = [x]", "y.append(x)", "len(y)", "z = y + [x]", "y = [0]", "import math")
    assert (session.unit("x")["cells"], session.unit("x")["needs"]) == ([1], [])
    assert (session.unit("z")["cells"], session.unit("z")["needs"]) == ([4], ["x", "y"])
    assert session.unit("y")["cells"] == [5]
    session.cells("y.append(z[0])")
    assert (session.unit("y")["cells"], session.unit("y")["needs"]) == ([5, 7], ["z"])


@in_image
def test_cells_that_were_saved_together_are_told_apart():
    session = Session()
    session.run("x = [1]")
    session.run("y = [2]")
    session.run("x.append(3)")
    session.save()
    assert session.unit("x")["cells"] == [1, 3]
    assert session.unit("y")["cells"] == [2]


@in_image
def test_what_was_adopted_is_not_handed_out_again():
    session = Session()
    manifest = session.cells(
        "import numpy as np; a = np.random.rand(400_000); b = a[1:]; c = [1]", "def f(): c.append(1)"
    )
    other, lost = restored(manifest, session.store)
    assert lost == {}
    other.cells("1 + 1")
    assert set(other.sent) == set()
    assert other.manifests[other.cell]["units"] == manifest["units"]
    other.cells("f()")
    assert changed(other) == ["c"]
    assert other.unit("c")["cells"] == [1, 4]
    other.cells("a[5] = 0")
    assert changed(other) == ["a", "b"]
    assert MEBIBYTE <= sum(other.sent.values()) < MEBIBYTE + 2000
    third, _ = restored(other.manifests[other.cell], other.store)
    third.namespace["a"][6] = 9
    assert third.namespace["b"][5] == 9


@in_image
def test_after_a_save_nothing_holds_what_it_looked_at():
    session = Session()
    session.cells("class A: pass\na = [A()]; import weakref; seen = weakref.ref(a[0])")
    session.run("a.clear()")
    assert session.namespace["seen"]() is None


@in_image
def test_names_that_are_not_the_sessions_are_left_alone():
    session = Session()
    session.saver._hidden = lambda: {"shell"}
    session.run("shell, mine = object(), 1")
    session.namespace[5] = "no name"
    assert session.save()["order"] == ["mine"]


class Images(NothingFound):
    """Takes every bytes-like object that begins with PHOTO for an image, and looks for that in what leaves."""

    def replace(self, obj):
        if isinstance(obj, bytes | str) and obj[:5] in (b"PHOTO", "PHOTO"):
            return Tombstone("image/photo", len(obj), "blob")
        return None

    def suspects(self, data):
        return "image/photo" if b"PHOTO" in bytes(data) else ""


@in_image
def test_an_image_is_replaced_where_it_is_found_and_its_unit_is_lost_where_it_is_not():
    session = Session(Images())
    session.run("a = [b'PHOTO' * 9, 1]; b = {'k': 'PHOTO'}; c = [b'x' * 3_000_000 + b'PHOTO']; d = [2]")
    manifest = session.save()
    assert not any(b"PHOTO" in data for data in session.store.values())
    other, lost = restored(manifest, session.store)
    assert lost == {"c": "holds image bytes (image/photo)"}
    assert isinstance(other.namespace["a"][0], Tombstone)
    assert (other.namespace["a"][0].bytes, other.namespace["a"][1], other.namespace["d"]) == (45, 1, [2])
    assert session.unit("a")["tombstones"] == [{"names": ["a"], "kind": "image/photo", "bytes": 45, "how": "blob"}]


@in_image
def test_an_image_that_lies_across_two_chunks_is_seen():
    session = Session(Images())
    session.run("a = bytearray(2 << 20)")
    start = session.save() and b"".join(map(session.store.get, session.unit("a")["stream"]["chunks"])).index(bytes(99))
    session.run(f"a[{MEBIBYTE - start - 2}:{MEBIBYTE - start + 3}] = b'PHOTO'")
    session.save()
    assert session.unit("a")["lost"] == "holds image bytes (image/photo)"
