"""Random programs that change variables in every way a cell can, one cell after the other."""

import random
from typing import Any

_NAMES = [f"v{number}" for number in range(9)]
_KINDS = {
    "list": lambda value: isinstance(value, list),
    "dict": lambda value: type(value).__name__ in ("dict", "defaultdict", "OrderedDict"),
    "set": lambda value: isinstance(value, set),
    "array": lambda value: type(value).__name__ == "ndarray",
    "vector": lambda value: type(value).__name__ == "ndarray" and value.ndim == 1 and value.size > 3,
    "object": lambda value: type(type(value)) is type and type(value).__module__ == "__main__",
    "class": lambda value: isinstance(value, type) and value.__module__ == "__main__",
    "function": lambda value: type(value).__name__ == "function" and value.__module__ == "__main__",
    "bound": lambda value: callable(value) and type(value).__name__ in ("method", "partial"),
    "iterator": lambda value: hasattr(value, "__next__"),
    "bytes": lambda value: isinstance(value, bytearray),
    "any": lambda value: True,
}

# {a}, {b}: any variable; {n}: a name to bind; {i}: a number; {list}, {array} ...: a variable of that kind.
_CELLS = """
{n} = [{i}, {i}]
{n} = {{'k': {i}, {i}: 'x'}}
{n} = {{{i}, 'p', {i}}}
{n} = np.arange({i} + 6.0)
{n} = np.arange(12).reshape(3, 4)
{n} = np.zeros(({i} + 2, 3), dtype=[('x', 'i4'), ('y', 'f8')])
{n} = np.array([[1], {{}}, {i}], dtype=object)
{n} = bytearray(b'abcdefgh')
{n} = ({i}, [{i}], 'text')
{n} = 'text' * {i}
{n} = {i}
{n} = {a}
{n} = [{a}, {b}]
{n} = {{'x': {a}, 'y': {b}}}
{n} = ({a}, {b})
{n}, {m} = {a}, {b}
{n} = {m} = [{i}]
{list}.append({a})
{list}.append({i})
{list} += [{i}]
{list}.extend([{i}, {a}])
{list}.insert(0, {i})
{list}.reverse()
{list}[:] = [{i}]
{list}[0] = {a}
{list}.clear()
del {list}[0]
{n} = {list}[1:]
{dict}['k'] = {a}
{dict}[{i}] = {i}
{dict}.update(z={a})
{dict}.setdefault('deep', []).append({i})
{dict}.pop('k', None)
{dict} |= {{'m': {i}}}
{n} = {dict}.get('k')
{n} = {dict}['x']
{set}.add({i})
{set}.discard({i})
{set} |= {{{i}}}
{n} = {array}.T
{n} = {array}.reshape(-1)
{n} = {vector}[1:3]
{n} = {vector}[::-2]
{n} = {array}[0]
{n} = {array}.copy()
{n} = {array}.view()
{n} = {array}.view(); {n}.flags.writeable = False
{array} += 1
{array}[...] = {i}
{vector}[{i} % 3] = {i}
np.add({array}, 1, out={array})
{array}.sort()
{array}['x'] = {i}
{n} = {array}['y']
{n} = np.frombuffer({bytes}, 'u1')
{bytes}[0] = {i} + 40
{n} = memoryview({bytes})
{n} = {vector}.data
del {a}
{a} = {b}
{a} = None
{a}, {b} = {b}, {a}
if (walrus := {i}) > 2: {n} = [walrus]
for each in [{a}, {b}]: {n} = each
{n} = [x for x in range({i})]
with open(os.devnull) as {n}: {m} = {i}
try: raise ValueError({i})\nexcept ValueError as caught: {n} = caught.args
match [{a}, {i}]:\n    case [{n}, other]: pass
import collections as {n}
from math import sqrt as {n}
global {n}; {n} = {i}
{n}: list = [{i}]
{n} = f'{{len(str({i}))}} {{({m} := [{i}])}}'
def {n}(): return {a}
def {n}(): {list}.append({i})
def {n}(): {dict}['by'] = {i}
def {n}():\n    global {m}\n    {m} = [{i}, {i}]
def {n}():\n    global {m}\n    del {m}
def {n}(at={a}): return at
def {n}(*, at={list}): at.append({i})
def {n}(depth={i}): return 1 if depth < 1 else depth * {n}(depth - 1)
def {n}():\n    inner = lambda: {list}.append({i})\n    return inner()
{n} = lambda: {array}.__iadd__(1)
{n} = lambda held={a}: held
{n} = (lambda held: lambda: held.append({i}))({list})
def maker():\n    count = [{i}]\n    def up():\n        count.append(1)\n    def down():\n        return count\n    return up, down\n{n}, {m} = maker()
def maker():\n    total = {i}\n    def up():\n        nonlocal total\n        total += 1\n        return total\n    def look(): return total\n    return up, look\n{n}, {m} = maker()
{function}()
{function}(); {function}()
[{function}() for _ in range(2)]
{n} = {function}()
{function}.mark = {a}
{function}.__defaults__ = ([{i}],)
{n} = functools.partial({function}, {i})
{n} = functools.lru_cache({function})
{n} = {list}.append
{bound}({i})
class {n}:\n    shared = [{i}]\n    def touch(self): self.shared.append({i}); return self
class {n}:\n    def __init__(self): self.held = []\n    def touch(self): self.held.append({list})
class {n}:\n    __slots__ = ('held', 'other')\n    def __init__(self): self.held = [{i}]
class {n}({class}):\n    def touch(self):\n        super().touch()\n        {list}.append({i})
class {n}:\n    count = 0\n    @classmethod\n    def touch(cls): cls.count += 1\n    @staticmethod\n    def still(): return {i}\n    @property\n    def double(self): return self.count * 2
@dataclasses.dataclass\nclass {n}:\n    p: int = {i}\n    q: list = dataclasses.field(default_factory=list)\n    def touch(self): self.q.append(self.p)
class {n}(enum.Enum):\n    A = {i}\n    B = 'b'
class {n}(dict):\n    def touch(self): self[{i}] = {i}
{n} = {class}()
{n} = {class}(); {m} = [{n}]
{n} = {class}().touch
{class}.extra = {a}
{class}.shared.append({i})
{class}.touch = lambda self: {list}.append({i})
{object}.held = {a}
{object}.attribute = [{i}]
{object}.touch()
{object}.held.append({i})
{object}.__dict__['direct'] = {a}
{object}.__class__ = {class}
del {object}.held
{n} = {object}.touch
{n} = iter({list})
{n} = enumerate([{a}])
next({iterator}, None)
{n} = (each for each in {list})
def generate():\n    while True:\n        {list}.append({i})\n        yield {i}\n{n} = generate()
{n} = collections.defaultdict(lambda: [{i}])
{n} = collections.OrderedDict(a={a})
{n} = collections.deque([{a}, {i}])
{n} = collections.namedtuple('Pair', 'p q')({i}, {a})
globals()['{n}'] = [{i}]
exec('{n} = [{i}]')
vars()['{n}'] = {a}
{n} = globals()
setattr({object}, 'by_name', {a})
getattr({list}, 'append')({i})
{n} = copy.copy({a})
{n} = copy.deepcopy({a})
{n} = random.random()
{n} = np.random.rand(2)
{n} = list(map(str, [{i}]))
print({a})
1 + 1
{n} = undefined_name
{list}.append(1); raise ValueError
"""

PREAMBLE = "import collections, copy, dataclasses, enum, functools, os, random\nimport numpy as np\nrandom.seed(1)\nnp.random.seed(1)"
_TEMPLATES = [line.replace("\\n", "\n") for line in _CELLS.strip().split("\n")]


def next_cell(rng: random.Random, namespace: dict[str, Any]) -> str:
    """One to three statements that fit what `namespace` holds."""
    return "\n".join(filter(None, (_statement(rng, namespace) for _ in range(rng.choice((1, 1, 2, 3))))))


def _statement(rng: random.Random, namespace: dict[str, Any]) -> str:
    bound = [name for name in _NAMES if name in namespace]
    for _ in range(20):
        template = rng.choice(_TEMPLATES)
        chosen = {"n": rng.choice(_NAMES), "m": rng.choice(_NAMES), "i": rng.randrange(8)}
        for key, fits in _KINDS.items():
            if fitting := [name for name in bound if fits(namespace[name])]:
                chosen[key] = rng.choice(fitting)
        if bound:
            chosen["a"], chosen["b"] = rng.choice(bound), rng.choice(bound)
        try:
            return template.format(**chosen)
        except KeyError:  # there is none of a kind that it needs
            continue
    return ""
