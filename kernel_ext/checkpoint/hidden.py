"""State that cells use without a variable of their own: the random numbers to come."""

import importlib
import random
import sys
from typing import Any

RANDOM, NUMPY = "@random", "@numpy.random"


def present() -> dict[str, Any]:
    """{name: state} of what there is in this process."""
    found: dict[str, Any] = {RANDOM: random.getstate()}
    if (numpy := sys.modules.get("numpy.random")) is not None:
        kind, *words, position, has_gauss, gauss = numpy.get_state()
        found[NUMPY] = (kind, words[0].tobytes(), position, has_gauss, gauss)
    return found


def restore(name: str, state: Any) -> None:
    if name == RANDOM:
        random.setstate(state)
    elif name == NUMPY:
        numpy = importlib.import_module("numpy")
        kind, words, position, has_gauss, gauss = state
        numpy.random.set_state((kind, numpy.frombuffer(words, numpy.uint32), position, has_gauss, gauss))
