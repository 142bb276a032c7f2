"""What kernels touch lies together, and nothing means anything else for it."""

import json
import subprocess
import sys

from tests.conftest import IMAGE

PACKAGES = IMAGE / "site-packages"
RECORD = PACKAGES / "kernel_ext.footprint"

IN_A_TEMPLATE = """
import gc, json, sys
sys.path.insert(0, sys.argv[1])
if sys.argv[2] == "without":
    import builtins
    real = builtins.open
    def opened(path, *arguments, **named):
        if str(path).endswith(".footprint"):
            raise FileNotFoundError(path)
        return real(path, *arguments, **named)
    builtins.open = opened
from kernel_ext import footprint
import traitlets, IPython.core.interactiveshell
from types import FunctionType

def used():
    functions = [each for each in gc.get_objects() if type(each) is FunctionType]
    return [each for each in functions if footprint.identity(each.__code__) in codes]

record = open(sys.argv[3], encoding="utf-8").read() if sys.argv[2] == "with" else ""
names, _, codes = record.partition("\\n\\n")
codes = {tuple(line.split("\\t")) for line in codes.split("\\n")}
before = {id(each): each.__code__ for each in used()}
kept = used()
pages = lambda objects: len({id(each) >> 12 for each in objects})
scattered = pages(each.__code__ for each in kept)
footprint.gather(gc.get_objects())
footprint.settle()
together = pages(each.__code__ for each in kept)
same = all(each.__code__ == before[id(each)] for each in kept)
moved = sum(each.__code__ is not before[id(each)] for each in kept)
class Text(traitlets.HasTraits):
    value = traitlets.Unicode()
print(json.dumps({"functions": len(kept), "scattered": scattered, "together": together, "same": same, "moved": moved,
                  "works": Text(value="a").value, "names": len(names.split("\\n"))}))
"""


def told(mode):
    command = [sys.executable, "-I", "-c", IN_A_TEMPLATE, str(PACKAGES), mode, str(RECORD)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_the_image_holds_a_record_of_what_a_kernel_uses():
    names, _, codes = RECORD.read_text(encoding="utf-8").partition("\n\n")
    assert {"shell_main", "execute_request", "_bit_generator", "leave_host"} <= set(names.split("\n"))
    assert any(line.startswith("ipykernel/kernelbase.py\tKernel.shell_main\t") for line in codes.split("\n"))
    assert str(PACKAGES) not in names + codes  # nothing says where it was built


def test_recorded_code_moves_together_and_stays_what_it_was():
    result = told("with")
    assert result["functions"] > 100
    assert result["moved"] == result["functions"]
    assert result["same"]
    assert result["together"] < result["scattered"] / 2
    assert result["works"] == "a"


def test_without_a_record_nothing_moves_and_all_works():
    result = told("without")
    assert (result["moved"], result["works"]) == (0, "a")
