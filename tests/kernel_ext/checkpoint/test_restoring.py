"""What cells make comes back right in another kernel."""

import random
import sys
import tempfile
import textwrap

from tests.kernel_ext.checkpoint.in_image import in_image
from tests.kernel_ext.checkpoint.session import Session, restored


def after(*cells, lost=()):
    """The namespace of another session that begins where these cells ended."""
    session = Session()
    manifest = session.cells(*map(textwrap.dedent, cells))
    other, missing = restored(manifest, session.store)
    assert sorted(missing) == sorted(lost), missing
    return other.namespace


def holds(namespace, *expressions):
    for expression in expressions:
        assert eval(expression, namespace), expression


@in_image
def test_functions_see_the_very_namespace_and_keep_all_that_they_carry():
    namespace = after(
        """
        limit = 3
        def f(n: int, step=[1], *, deep={'k': 1}) -> int:
            'Doc.'
            return n if n >= limit else f(n + step[0])
        f.calls = step = f.__defaults__[0]
        handlers = {'f': f, 'g': lambda: f(0)}
        """
    )
    holds(namespace, "f.__globals__ is globals()", "f(0) == 3", "handlers['f'] is f", "f.calls is f.__defaults__[0]",
          "step is f.calls", "f.__doc__ == 'Doc.'", "f.__annotations__ == {'n': int, 'return': int}",
          "f.__kwdefaults__ == {'deep': {'k': 1}}", "f.__qualname__ == 'f'", "f.__module__ == '__main__'")  # fmt: skip
    namespace["limit"] = 5
    holds(namespace, "f(0) == 5", "handlers['g']() == 5")


@in_image
def test_closures_share_the_cells_they_shared():
    namespace = after(
        """
        def make():
            count = 0
            log = []
            def up():
                nonlocal count
                count += 1
                log.append(count)
                return up
            def look():
                return count, log
            return up, look
        up, look = make()
        up()
        """
    )
    holds(namespace, "up()() is up", "look() == (3, [1, 2, 3])", "up.__closure__[0] is look.__closure__[0]")


@in_image
def test_classes_keep_their_methods_and_instances_stay_instances():
    namespace = after(
        """
        import abc, collections, dataclasses, enum, functools, typing
        T = typing.TypeVar('T')
        class Base(abc.ABC):
            made = []
            def __init_subclass__(cls, **named):
                super().__init_subclass__(**named)
                Base.made.append(cls.__name__)
            @abc.abstractmethod
            def area(self): ...
            @property
            def double(self): return 2 * self.area()
            @double.setter
            def double(self, value): self.side = value / 2
        class Square(Base):
            def __init__(self, side): self.side = side
            def area(self): return self.side
            @classmethod
            def unit(cls): return cls(1)
            @staticmethod
            def sides(): return 4
            @functools.cached_property
            def slow(self): return Base.made
        class Big(Square):
            def area(self): return super().area() + 10
        class Slots:
            __slots__ = ('a', '__private')
            def __init__(self): self.a, self.__private = [1], 2
            def private(self): return self.__private
        class Meta(type):
            count = 0
            def __new__(meta, name, bases, variables):
                Meta.count += 1
                return super().__new__(meta, name, bases, variables)
            def __getitem__(cls, key): return key
        class Made(metaclass=Meta): pass
        @dataclasses.dataclass(frozen=True, order=True)
        class Point:
            x: int
            y: list = dataclasses.field(default_factory=list, compare=False)
        class Colour(enum.Enum):
            RED = 1
            ROUGE = 1
            BLUE = (2, 'b')
            def low(self): return self.name.lower()
        class Planet(enum.Enum):
            EARTH = (1.0, 2.0)
            def __init__(self, mass, radius): self.density = mass / radius
        class Bits(enum.Flag):
            A = enum.auto()
            B = enum.auto()
        class Stack(typing.Generic[T]):
            def __init__(self): self.items: list[T] = []
        class Named(typing.NamedTuple):
            a: int
            b: str = 'x'
        Pair = collections.namedtuple('Pair', 'p q')
        class Text(str): pass
        class Broken(ValueError):
            def __init__(self, code): super().__init__(code); self.code = code
        def local():
            class Inner:
                def who(self): return __class__
            return Inner
        Inner = local()
        things = [Big(2), Slots(), Made(), Point(1), Colour.BLUE, Stack(), Named(1), Pair(1, 2), Text('t'), Broken(3),
                  Inner(), Bits.A | Bits.B, Planet.EARTH]
        method = things[0].area
        """
    )
    holds(namespace, "isinstance(things[0], Big) and isinstance(things[0], Base)", "things[0].double == 24",
          "method() == 12 and method.__self__ is things[0]", "Base.made == ['Square', 'Big']",
          "Big.unit().area() == 11",
          "Big.sides() == 4", "things[0].slow is Base.made", "things[1].private() == 2 and things[1].a == [1]",
          "not hasattr(things[1], '__dict__')", "Meta.count == 1 and type(Made) is Meta and Made[3] == 3",
          "things[3] == Point(1, [5]) and Point(0) < Point(1) and hash(Point(1))",
          "dataclasses.replace(things[3], x=4).x == 4",
          "things[4] is Colour.BLUE and Colour['ROUGE'] is Colour.RED and Colour.RED.low() == 'red'",
          "Colour(1) is Colour.RED", "things[12].density == 0.5",
          "things[11] == Bits.A | Bits.B and Bits.A in things[11]",
          "Stack[int] and isinstance(things[5], Stack)",
          "things[6] == Named(1) and things[6].b == 'x'", "things[7].q == 2",
          "type(things[8]) is Text", "things[9].code == 3", "things[10].who() is Inner",
          "Inner.__qualname__ == 'local.<locals>.Inner'")  # fmt: skip
    for refused in ("Base()", "things[3].__setattr__('x', 2)"):
        try:
            eval(refused, namespace)
        except (TypeError, AttributeError):
            continue
        raise AssertionError(refused)
    exec("@dataclasses.dataclass(frozen=True)\nclass More(Point):\n    z: int = 0\nmore = More(1)", namespace)
    holds(namespace, "more.z == 0", "more.y == []")


@in_image
def test_changes_of_a_class_made_later_are_kept():
    namespace = after(
        "class A:\n    tags = []\na = A()",
        "A.tags.append(1); A.extra = lambda self: self.tags; A.__doc__ = 'New.'",
        "a.tags.append(2)",
    )
    holds(namespace, "a.extra() is A.tags and A.tags == [1, 2]", "A.__doc__ == 'New.'")


@in_image
def test_modules_made_in_cells_come_back_with_what_is_in_them():
    folder = tempfile.mkdtemp()
    sys.path.insert(0, folder)
    try:
        namespace = after(
            f"""
            import types, json, os.path, sys
            made = types.ModuleType('made')
            exec('state = []\\ndef add(x):\\n    state.append(x)\\n    return state', made.__dict__)
            add = made.add
            with open({folder!r} + '/written.py', 'w') as out:
                _ = out.write('held = [1]\\nclass W:\\n    def look(self): return held')
            del out, _
            import written
            from written import W
            w = W()
            """,
            "import written; written.held.append(2); made.add(1)",
        )
        holds(namespace, "add(2) is made.state and made.state == [1, 2]", "add.__globals__ is vars(made)",
              "w.look() is written.held and written.held == [1, 2]", "isinstance(w, written.W)",
              "sys.modules['written'] is written",
              "json.dumps is __import__('json').dumps", "os.path.join")  # fmt: skip
    finally:
        sys.path.remove(folder)
        sys.modules.pop("written", None)


@in_image
def test_arrays_that_share_memory_share_it_again():
    namespace = after(
        """
        import numpy as np
        base = np.arange(24.0).reshape(4, 6)
        row, turned, back, flat = base[1], base.T, base[::-1, ::2], base.reshape(-1)
        fixed = base.view(); fixed.flags.writeable = False
        table = np.zeros(5, dtype=[('x', 'i4'), ('y', 'f8')])
        column, record, records = table['y'], table[2], table.view(np.recarray)
        objects = np.array([[1], {}, 3], dtype=object); tail = objects[1:]
        memory = bytearray(16); bytes_seen = np.frombuffer(memory, 'u1')
        windows = np.lib.stride_tricks.sliding_window_view(flat, 3)
        order = np.asfortranarray(np.arange(6).reshape(2, 3)).copy(order='F'); part = order[:, 1]
        matrix, masked = np.matrix([[1, 2]]), np.ma.masked_greater(np.arange(4), 2)
        big = np.zeros(100_000); middle = big[10:-10]
        alone = np.arange(5)
        """
    )
    exec(
        textwrap.dedent(
            """
            base[1, 2] = 100
            assert row[2] == turned[2, 1] == back[2, 1] == flat[8] == fixed[1, 2] == windows[8, 0] == 100
            assert not fixed.flags.writeable and row.flags.writeable
            table['y'][2] = 7
            assert column[2] == record['y'] == records.y[2] == 7
            record['x'] = 5
            assert table[2]['x'] == 5 and type(records) is np.recarray
            objects[1]['k'] = 1
            assert tail[0] is objects[1]
            memory[3] = 9
            assert bytes_seen[3] == 9
            order[0, 1] = 50
            assert part[0] == 50 and order.flags.f_contiguous
            middle[0] = 3
            assert big[10] == 3
            assert type(matrix) is np.matrix and masked.mask.tolist() == [False, False, False, True]
            assert not np.shares_memory(alone, base)
            """
        ),
        namespace,
    )


@in_image
def test_frames_share_memory_again_and_copy_before_they_write():
    namespace = after(
        """
        import numpy as np, pandas as pd
        df = pd.DataFrame({'a': np.arange(5000.0), 'b': ['x', 'y'] * 2500, 'c': 1, 't': pd.Timestamp('2020-01-01')})
        series, some, double, seen = df['a'], df.iloc[:3], df[['a']] * 2, df['c'].to_numpy()
        index = pd.Index(np.arange(5000)); of_index = pd.Series(index)
        groups, kind, many = df.groupby('b'), df['b'].astype('category'), df.set_index(['a', 'b'])
        frames = {'all': df}
        """
    )
    exec(
        textwrap.dedent(
            """
            assert np.shares_memory(df['c'].to_numpy(), seen) and frames['all'] is df
            df.loc[0, 'a'] = 50.0
            assert series[0] == 0.0 and some.loc[0, 'a'] == 0.0 and df.loc[0, 'a'] == 50.0
            of_index[0] = 7
            assert index[0] == 0
            assert groups['c'].sum().tolist() == [2500, 2500] and many.shape == (5000, 2)
            assert list(kind.cat.categories) == ['x', 'y'] and double['a'][1] == 2.0
            """
        ),
        namespace,
    )


@in_image
def test_figures_come_back_and_drawing_without_naming_them_is_noticed():
    namespace = after(
        "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nline, = ax.plot([1, 2, 3])",
        "plt.title('later')",
    )
    holds(namespace, "ax.get_title() == 'later'", "ax.lines[0] is line", "ax.figure is fig")


@in_image
def test_the_random_numbers_to_come_are_the_same():
    session = Session()
    manifest = session.cells("import random, numpy as np", "random.random(); np.random.rand(3)")
    expected = random.random(), sys.modules["numpy"].random.rand()
    restored(manifest, session.store)
    assert (random.random(), sys.modules["numpy"].random.rand()) == expected


@in_image
def test_objects_of_the_standard_library_come_back():
    namespace = after(
        """
        import collections, datetime, decimal, functools, io, itertools, logging, os, pathlib, random, re, threading
        import uuid, weakref, types, sys
        nested = collections.defaultdict(lambda: collections.defaultdict(list)); nested[1][2].append(3)
        add = functools.partial(lambda a, b: a + b, 1)
        cached = functools.lru_cache(maxsize=5)(lambda n: n * 2)
        @functools.singledispatch
        def show(x): return 'any'
        @show.register
        def _(x: int): return 'int'
        del _
        pattern = re.compile('a+')
        when = [datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), decimal.Decimal('1.10'), uuid.UUID(int=5)]
        log = logging.getLogger('x.y')
        lock, again, event = threading.Lock(), threading.RLock(), threading.Event()
        lock.acquire(); event.set()
        counting = itertools.count(5); next(counting)
        left = iter([1, 2, 3]); next(left)
        buffer = io.StringIO('abc'); buffer.read(1)
        shown = memoryview(bytearray(b'abcdef')); same = shown.obj
        class Key: pass
        key = Key(); weak = weakref.WeakKeyDictionary({key: 1}); ref = weakref.ref(key)
        plain = types.SimpleNamespace(a=[1]); alias = plain.a
        out, env, mods, rand = sys.stdout, os.environ, sys.modules, random.random
        home = globals()
        loop = []; loop.append(loop)
        ordered = collections.OrderedDict(b=1, a=2); ordered.move_to_end('b')
        """
    )
    holds(namespace, "nested[1][2] == [3] and nested[9][9] == []", "add(2) == 3", "cached(4) == 8",
          "cached.cache_parameters()['maxsize'] == 5", "show(1) == 'int' and show('') == 'any'",
          "pattern.match('aa')", "when[0].year == 2020 and str(when[1]) == '1.10'", "log is logging.getLogger('x.y')",
          "lock.acquire(False) and again.acquire()", "event.is_set()", "next(counting) == 6", "list(left) == [2, 3]",
          "buffer.read() == 'bc'", "shown.obj is same and bytes(shown) == b'abcdef'", "weak[key] == 1 and ref() is key",
          "alias is plain.a", "out is sys.stdout and env is os.environ and mods is sys.modules",
          "rand.__self__ is random.random.__self__", "home is globals()", "loop[0] is loop",
          "list(ordered) == ['a', 'b']")  # fmt: skip


@in_image
def test_what_cannot_be_kept_is_lost_alone_and_says_why():
    session = Session()
    manifest = session.cells(
        textwrap.dedent(
            """
            import os, sqlite3, socket, re
            good, shared = [1], [2]
            database = sqlite3.connect(':memory:')
            file = open(os.devnull)
            plug = socket.socket(); plug.close()
            running = (each for each in shared)
            async def wait(): pass
            waiting = wait()
            found = re.match('a', 'a')
            mixed = [good, running]
            """
        )
    )
    waiting = session.namespace["waiting"]
    other, lost = restored(manifest, session.store)
    waiting.close()
    assert set(lost) == {"database", "file", "plug", "running", "waiting", "found", "mixed"}
    assert "sqlite3.Connection" in lost["database"]
    assert lost["file"] == "'/dev/null' is an open file; open it again"
    assert lost["running"] == lost["mixed"] == "a running generator cannot be kept; run its cell again"
    assert lost["waiting"] == "a running coroutine cannot be kept; run its cell again"
    assert "socket" in lost["plug"]
    assert "re.Match" in lost["found"]
    assert other.namespace["good"] == [1]
    assert other.namespace["shared"] == [2]


@in_image
def test_a_chain_of_a_thousand_objects_comes_back():
    namespace = after(
        """
        class Link:
            def __init__(self, next): self.next = next
        first = None
        for _ in range(1000): first = Link(first)
        """
    )
    link, length = namespace["first"], 0
    while link is not None:
        link, length = link.next, length + 1
    assert length == 1000


@in_image
def test_the_order_of_variables_is_kept():
    session = Session()
    manifest = session.cells("b = 1; a = [2]", "c = a; del b", "b = c")
    other, _ = restored(manifest, session.store)
    assert [name for name in other.namespace if not name.startswith("_")] == ["a", "c", "b"] == manifest["order"]


@in_image
def test_one_unit_that_cannot_be_loaded_is_lost_alone_and_one_that_needs_another_waits_for_it():
    session = Session()
    manifest = session.cells(
        textwrap.dedent(
            """
            class Late:
                def __init__(self, key): self.key = key
                def __reduce__(self): return Late.make, (self.key,)
                @staticmethod
                def make(key): return Late(table[key])
            late = Late('k')
            class Never:
                def __setstate__(self, state): raise SystemExit('no')
                def __init__(self): self.a = 1
            never = Never()
            table = {'k': 'v'}
            fine = 5
            """
        )
    )
    other, lost = restored(manifest, session.store)
    assert lost == {"Never": "SystemExit: no", "never": "SystemExit: no"}, lost
    assert other.namespace["late"].key == "v"
    assert other.namespace["fine"] == 5
