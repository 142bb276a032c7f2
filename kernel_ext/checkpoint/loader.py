"""Loads what a Saver saved into the namespace of another kernel."""

import io
from collections.abc import Callable
from typing import Any

from kernel_ext.checkpoint import hidden, pickling
from kernel_ext.checkpoint.quiet import quiet
from kernel_ext.checkpoint.scan import reason


def load(
    manifest: dict[str, Any],
    stream: Callable[[int], bytes],
    buffers: Callable[[int], list[memoryview]],
    namespace: dict[str, Any],
) -> dict[str, str]:
    """{name: reason} of what is lost. `stream` and `buffers` are of the unit of that index.

    A unit may need another to load, where its own code runs; so what fails is tried again while anything succeeds.
    """
    units = manifest["units"]
    lost = {name: unit["lost"] for unit in units if "lost" in unit for name in unit["names"]}
    waiting = [index for index, unit in enumerate(units) if "lost" not in unit]
    pickling.session = namespace
    with quiet():
        while waiting:
            failed: dict[int, str] = {}
            for index in waiting:
                try:
                    _bind(_values(stream(index), buffers(index)), namespace)
                except BaseException as error:
                    failed[index] = reason(error)
            if len(failed) == len(waiting):
                lost.update({name: why for index, why in failed.items() for name in units[index]["names"]})
                break
            waiting = list(failed)
    for name in manifest["order"]:
        if name in namespace:
            namespace[name] = namespace.pop(name)
    return lost


def _values(stream: bytes, buffers: list[memoryview]) -> dict[str, Any]:
    unpickler = pickling.Unpickler(io.BytesIO(stream), buffers=buffers)
    unpickler.load()  # the anchors
    values: dict[str, Any] = unpickler.load()
    return values


def _bind(values: dict[str, Any], namespace: dict[str, Any]) -> None:
    for name, value in values.items():
        if name.startswith("@"):
            hidden.restore(name, value)
        else:
            namespace[name] = value
