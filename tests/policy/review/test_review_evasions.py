"""Ways to hide a call from a reader: each is seen, or the reason why only the broker can see it stands beside it."""

import pytest

from catalog.reviewed import load_served
from catalog.risk import Risk
from kernel_gateway.policy.plan import ANY
from kernel_gateway.policy.review import review

CATALOG, _ = load_served()
DELETION = "image_ops:cleanup_create"

SEEN = {
    "a name put together": "getattr(image_ops, 'clean' + 'up_create')(ids=k)",
    "a literal getattr": "getattr(image_ops, 'cleanup_create')(ids=k)",
    "getattr under another name": "g = getattr\ng(image_ops, n)(ids=k)",
    "globals": "globals()['image' + '_ops'].cleanup_create(ids=k)",
    "vars without an object": "vars()['image' + '_ops'].cleanup_create(ids=k)",
    "vars of the client": "vars(image_ops)['cleanup' + '_create'](ids=k)",
    "builtins": "__builtins__['ev' + 'al']('1')",
    "another name": "f = image_ops.cleanup_create\nf(ids=k)",
    "another name of the server": "x = image_ops\nx.cleanup_create(ids=k)",
    "a chain of names": "\n".join(f"a{n} = a{n + 1}" for n in range(30)) + "\na30 = image_ops\na0.jobs_get(ids=k)",
    "names in pairs": "a, b = 1, image_ops\nb.cleanup_create(ids=k)",
    "map": "list(map(image_ops.cleanup_create, keys))",
    "partial": "import functools\nfunctools.partial(image_ops.cleanup_create)(ids=k)",
    "exec": "import base64\nexec(base64.b64decode('cHJpbnQoMSk='))",
    "eval by another name": "e = eval\ne('image_ops.cleanup_create(ids=k)')",
    "eval from builtins": "from builtins import eval as e\ne('1')",
    "subclasses": "().__class__.__base__.__subclasses__()",
    "a text template": "'{0.__class__}'.format(image_ops)",
    "a shell command": "!rm -rf /",
    "a captured shell command": "files = !ls {image_ops.cleanup_create(ids=k)}",
    "a line magic": "%run x.py",
    "a magic inside of a block": "if True:\n    %run x.py",
    "a cell magic": "%%prun\nimage_ops.cleanup_create(ids=k)",
    "a help command with an expression": "?{image_ops.cleanup_create(ids=k)}",
    "a magic whose arguments are evaluated": "%matplotlib {image_ops.cleanup_create(ids=k)}",
    "a call without brackets": "/image_ops.cleanup_create",
    "a magic without its sign": "rerun",
    "a magic without its sign, behind a prompt": "In [1]: rerun",
    "a shell command that ends as help does": "!echo '{image_ops.cleanup_create(ids=k)}' ]?",
    "a shell command in a pasted session": "f?\n>>> files = !ls {image_ops.cleanup_create(ids=k)}",
    "a text that opens within a command": "%time \"\"\"\nimage_ops.cleanup_create(ids=k)",
    "get_ipython": "get_ipython().run_line_magic('sx', 'ls')",
    "the shell from its module": "from IPython import get_ipython as shell\nshell().ex('1')",
    "a decorator": "@image_ops.cleanup_create\ndef f(): pass",
    "a list": "d = [image_ops]\nd[0].cleanup_create(ids=k)",
    "a parameter": "def g(a): return a.cleanup_create(ids=k)\ng(image_ops)",
    "an assignment in an expression": "(z := image_ops).cleanup_create(ids=k)",
    "a pattern": "match image_ops:\n  case object(cleanup_create=f): f(ids=k)",
    "attrgetter": "import operator\noperator.attrgetter('cleanup_create')(image_ops)(ids=k)",
    "methodcaller": "import operator as o\no.methodcaller('cleanup_create', ids=k)(image_ops)",
    "a frame": "import sys\nsys._getframe().f_globals['image_ops']",
    "a frame of a generator": "g = (n for n in [1])\ng.gi_frame.f_globals",
    "a frame of an exception": "try:\n  1/0\nexcept Exception as e:\n  e.__traceback__.tb_frame.f_globals",
    "the garbage collector": "import gc\ngc.get_objects()",
    "ctypes": "from ctypes import py_object",
    "a function of a module replaced": "import json\njson.loads = lambda s: image_ops.cleanup_create(ids=k)",
    "an attribute of a class": "class A:\n  f = image_ops.cleanup_create\nA.f(ids=k)",
    "a special method": "class A:\n  def __del__(self): image_ops.cleanup_create(ids=k)\nA()",
    "a property": "class A:\n  @property\n  def x(self): return image_ops.cleanup_create(ids=k)\nA().x",
    "a method that a library calls": (
        "import threading\nclass T(threading.Thread):\n  def run(self): image_ops.cleanup_create(ids=k)\nT().start()"
    ),
    "a loop's name": "for a in (image_ops,):\n  a.cleanup_create(ids=k)",
    "a context's name": "import contextlib\nwith contextlib.nullcontext(image_ops) as a: a.cleanup_create(ids=k)",
    "a name in a comprehension": "[a.cleanup_create(ids=k) for a in [image_ops]]",
    "a data frame's text": "df.eval('@image_ops.cleanup_create(ids=@k)')",
    "a text that only the run makes": "df.eval(text)",
    "letters that Python folds": "image_ops.\uff43leanup_create(ids=k)",
    "a default": "def f(a=image_ops): a.cleanup_create(ids=k)\nf()",
    "a default that calls": "def f(a=image_ops.cleanup_create(ids=k)): pass",
    "a type that calls": "x: image_ops.cleanup_create(ids=k) = 1",
    "a base that calls": "class A(image_ops.cleanup_create(ids=k)): pass",
    "star arguments": "h = lambda *x: x[0].cleanup_create(ids=k)\nh(*[image_ops])",
    "an or": "(image_ops or 1).cleanup_create(ids=k)",
    "a call beside an or": "x = image_ops or image_ops.cleanup_create(ids=k)",
    "a call in what is printed": "print((image_ops.quota_get or image_ops.cleanup_create(ids=k)))",
    "a call in a template": "f'{image_ops.cleanup_create(ids=k)}'",
    "a call after an attribute of a branch": "(image_ops if image_ops.cleanup_create(ids=k) else 1).__doc__",
    "a name for call_tool": "c = call_tool\nc('image_ops:cleanup_create', {'ids': k})",
    "the name of an operation put together": "call_tool('image_ops:' + 'cleanup_create', {'ids': k})",
    "the name of an operation from a branch": "call_tool('image_ops:cleanup_create' if x else 'image_ops:jobs_get')",
    "call_tools with a list that grows": "c = []\nc.append(('image_ops:cleanup_create', {}))\ncall_tools(c)",
    "call_tools with what is not plain": "call_tools(list(zip(names, arguments)))",
    "the client's module": "import kernel_ext as k\nk.image_ops.cleanup_create(ids=1)",
    "the client from its module": "from kernel_ext import image_ops as x\nx.cleanup_create(ids=1)",
    "the client's module by its name": "__import__('kernel_ext').call_tool('image_ops:cleanup_create', {})",
    "the channel beneath the client": "from kernel_ext.channel import attached\nattached()",
    "the inside of the client": "import kernel_ext\nkernel_ext.channel.attached()",
    "a private part": "image_ops.jobs_get.__globals__['_call']('image_ops:cleanup_create', {})",
    "a private part under another name": "d = image_ops.__dict__\nd['cleanup_create'](ids=k)",
    "the client replaced": "image_ops.jobs_get = image_ops.cleanup_create",
    "the client replaced by text": "setattr(image_ops, 'jobs_get', f)",
    "the modules of the interpreter": "import sys\nsys.modules['kernel_ext'].call_tool(n, {})",
    "the modules, imported": "from sys import modules as m\nm['kernel_ext']",
    "a module by a made name": "import importlib\nimportlib.import_module(n).call_tool('image_ops:cleanup_create')",
    "a trace function": "import sys\nsys.settrace(f)",
}  # fmt: skip

ONLY_AT_RUN_TIME = {
    "a text evaluator whose text is in a variable": (
        "df.query(text)",
        "`query` is a word of many libraries, and most of its texts are data",
    ),
    "a type as text": (
        "x: 'image_ops.cleanup_create(ids=1)' = 1",
        "nothing evaluates it unless code asks for it by a name that is seen",
    ),
    "a function that no cell defined": (
        "helper(keys)",
        "it raises the risk; what it calls would be known had a cell that was read defined it",
    ),
    "a module that a cell wrote to a file": (
        "import my_module\nmy_module.work()",
        "files are data to a reader",
    ),
    "an object that came from a pickle": ("import pickle\npickle.loads(data).work()", "its code is in the data"),
    "an expression that an earlier cell displayed": ("_(ids=k)", "what `_` is was decided by the run"),
}


def hidden(found):
    """Not seen: the plan allows no deletion."""
    return DELETION not in found.plan.calls and ANY not in found.plan.calls


@pytest.mark.parametrize("name", SEEN)
def test_an_evasion_is_seen(name):
    found = review(SEEN[name], CATALOG, {}, (), 50)
    assert found.risk >= Risk.HIGH, found
    assert not hidden(found) or {"format_trick", "client_changed"} & {each.rule for each in found.violations}, found


@pytest.mark.parametrize("name", ONLY_AT_RUN_TIME)
def test_what_only_the_broker_sees_has_a_reason_and_no_place_in_the_plan(name):
    code, reason = ONLY_AT_RUN_TIME[name]
    assert hidden(review(code, CATALOG, {}, (), 50))
    assert reason


HONEST = {
    "regular expressions": "import re\nre.compile('a').match('b')",
    "an attribute with a default": "getattr(job, 'status', None)",
    "the name of a class": "type(error).__name__, error.__class__.__name__",
    "a check for a name": "if 'found' in globals():\n    print('there')",
    "a data frame's query": "frame.query('width > 100 and kind == \"png\"')",
    "a query with a variable": "frame.query('width > @limit')",
    "a template": "'{} of {}'.format(1, 2)",
    "pictures": "from IPython.display import Image, display\ndisplay(Image(data))",
    "a class of one's own": "class Job:\n  def __init__(self, id):\n    self.id = id\n    super().__init__()\nJob(1)",
    "a main guard": "if __name__ == '__main__':\n    print(1)",
    "a variable that is named like a command": "history = [1]\nhistory",
    "a docstring with prompts": "def f():\n    '''\n    >>> f()\n    1\n    '''\n",
    "help beside Python": "x = 1\nx?\nimage_ops.jobs_get??\n?x\nrows[0]?",
    "pasted prompts": ">>> x = 1\n>>> for n in range(2):\n...     print(n)",
    "common indentation": "    x = 1\n    y = 2\n",
    "catching a tool's error": "try:\n    image_ops.quota_get()\nexcept ToolError as error:\n    print(error.code)",
    "a look at the client": "image_ops\nimage_ops.jobs_get\nimage_ops.jobs_get.__doc__\nhelp(call_tool)",
    "a check of the client": "hasattr(image_ops, 'jobs_get') and callable(image_ops.jobs_get)",
    "a plot": "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.rcParams['figure.dpi'] = 80",
    "a signature": "import inspect\nprint(inspect.signature(image_ops.jobs_get))",
}


@pytest.mark.parametrize("name", HONEST)
def test_what_people_write_every_day_is_no_evasion(name):
    found = review(HONEST[name], CATALOG, {}, ("requests",), 50)
    assert (found.risk, found.violations) == (Risk.LOW, ())
