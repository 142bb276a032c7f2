"""One target under libFuzzer, in a process of its own: it ends by its clock, by a crash, a hang or too much memory.

python -m tests.fuzz.instrumented tests.fuzz.targets:frames [what libFuzzer takes]
"""

import importlib
import sys

import atheris

_LOOKED_INTO = ["kernel_ext.wire", "kernel_gateway.kernels", "json", "tests.fuzz.planted"]

if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    with atheris.instrument_imports(include=_LOOKED_INTO):
        target = getattr(importlib.import_module(module), name)

    # To merge corpora libFuzzer starts itself again, by its first argument, as a line of a shell.
    atheris.Setup([f"{sys.executable} -m tests.fuzz.instrumented {sys.argv[1]}", *sys.argv[2:]], target)
    atheris.Fuzz()
