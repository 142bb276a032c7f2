"""The names that reading a cell knows: the client's, Python's, and those by which code hides what it does."""

import builtins

CLIENT_MODULE = "kernel_ext"
CALLERS = frozenset(("call_tool", "acall_tool", "call_tools"))  # take the name of an operation
CLIENT_VALUES = frozenset(("search_tools", "Blob", "CallToolResult", "Record", "Tool", "ToolError"))  # call none

# What a cell finds without having defined it.
GIVEN = (
    frozenset(dir(builtins))
    | CALLERS
    | CLIENT_VALUES
    | {"In", "Out", "_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh", "_dh", "display", "exit", "quit"}
    | {"get_ipython", "__file__"}
)

# Functions that look at what they are given and never call it.
LOOKING = frozenset(("callable", "dir", "display", "getdoc", "hasattr", "help", "id", "isinstance", "print", "repr",
                     "signature", "str", "type"))  # fmt: skip
# Functions that use up what they are given before they return.
EAGER = frozenset(("all", "any", "dict", "frozenset", "gather", "join", "len", "list", "max", "min", "next", "print",
                   "run", "set", "sorted", "sum", "tuple", "wait_for"))  # fmt: skip
# Functions and methods that call their first, or for run_in_executor their second, argument once.
ONCE = {"submit": 0, "to_thread": 0, "run_in_executor": 1}
# Decorators that call nothing.
QUIET_DECORATORS = frozenset(("abstractmethod", "asynccontextmanager", "cache", "cached_property", "classmethod",
                              "contextmanager", "dataclass", "final", "lru_cache", "override", "property", "setter",
                              "staticmethod", "total_ordering", "wraps"))  # fmt: skip
# Base classes that call no method of their subclasses.
QUIET_BASES = frozenset(("ABC", "BaseModel", "Enum", "Exception", "Generic", "IntEnum", "NamedTuple", "Protocol",
                         "RuntimeError", "StrEnum", "TypedDict", "ValueError", "object"))  # fmt: skip
# Functions that leave the length of a list alone.
KEEPING = LOOKING | EAGER | {"enumerate", "filter", "map", "range", "reversed", "zip"}
RESIZING = frozenset(("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove",
                      "setdefault", "update"))  # fmt: skip

# Ways to hide, by rule. A name counts wherever it is read, an attribute on whatever object.
HIDING_NAMES = {
    **dict.fromkeys(("compile", "eval", "exec"), "code_from_text"),
    **dict.fromkeys(("globals", "locals"), "namespace"),
    **dict.fromkeys(("__builtins__", "__loader__", "__spec__"), "dunder"),
    **dict.fromkeys(("breakpoint",), "internals"),
    **dict.fromkeys(("get_ipython",), "kernel"),
}
HIDING_ATTRIBUTES = {
    **dict.fromkeys(("_getframe", "_current_frames", "currentframe", "f_back", "f_builtins", "f_globals", "f_locals",
                     "get_objects", "get_referents", "get_referrers", "gi_frame", "cr_frame", "ag_frame", "settrace",
                     "setprofile", "tb_frame", "tb_next", "_getframemodulename"), "internals"),
    **dict.fromkeys(("run_cell", "run_cell_async", "run_cell_magic", "run_code", "run_line_magic", "user_global_ns",
                     "user_ns", "safe_execfile", "getoutput", "user_module"), "kernel"),
    **dict.fromkeys(("run_path", "run_module", "runsource", "runcode", "interact"), "code_from_text"),
}  # fmt: skip
HIDING_MODULES = {
    **dict.fromkeys(("ctypes", "gc", "_ctypes", "_testcapi", "cffi", "bdb", "pdb"), "internals"),
    **dict.fromkeys(("code", "codeop", "runpy"), "code_from_text"),
    **dict.fromkeys(("__main__", "builtins"), "namespace"),
    **dict.fromkeys(("IPython", "ipykernel"), "kernel"),
    **dict.fromkeys(("cloudpickle", "dill", "jsonpickle", "marshal", "pickle", "shelve"), "stored_code"),
}
QUIET_FROM = {("IPython", "display"), ("IPython.display", ""), ("IPython.core.display", "")}  # shows things, no more
HARMLESS_DUNDERS = frozenset((
    "__name__", "__qualname__", "__doc__", "__version__", "__file__", "__init__", "__enter__", "__exit__", "__len__",
    "__iter__", "__next__", "__eq__", "__all__", "__post_init__", "__repr__", "__str__", "__hash__", "__debug__",
    "__aenter__", "__aexit__", "__cause__", "__traceback__", "__members__", "__annotations__", "__author__",
))  # fmt: skip
TEXT_EVALUATORS = frozenset(("eval", "query"))  # methods of data frames that evaluate a text
# Commands that IPython takes from a line of their own without `%`, and that run code.
CODE_MAGICS = frozenset(("edit", "history", "load", "loadpy", "macro", "prun", "recall", "rep", "rerun", "run", "sc",
                         "script", "store", "sx", "system", "time", "timeit"))  # fmt: skip
TRANSPARENT_MAGICS = frozenset(("time", "capture"))  # they run what follows once
HARMLESS_MAGICS = frozenset(("lsmagic", "matplotlib", "pwd", "who", "who_ls", "whos"))
