"""One look at one variable: its pickle, and what it shares, reaches and needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pickle import PicklingError
from typing import Any

from kernel_ext.checkpoint.pickling import Pickler, PicklerThatAsks, Setting, Stopped, Stream, TooMuch
from kernel_ext.checkpoint.touched import Reach, Wild, of_code
from kernel_ext.checkpoint.units import Mutability
from kernel_ext.checkpoint.watch import Watch


@dataclass(frozen=True, slots=True)
class Scan:
    """Of a variable that could not be pickled, `lost` says why; what it reaches is then not known."""

    reach: Reach
    shared: Mapping[int, Any] = field(default_factory=dict)
    extents: tuple[tuple[int, int], ...] = ()
    draws: bool = False
    pickled: "Pickled | None" = None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Pickled:
    stream: Stream
    buffers: list[Any]
    tombstones: list[Any]


def reason(error: BaseException) -> str:
    """One line for a person."""
    text = str(error).strip().partition("\n")[0][:200]
    if isinstance(error, RecursionError):
        text = "it is nested too deeply"
    return (
        text if isinstance(error, PicklingError | TooMuch) and text else f"{type(error).__name__}: {text}".rstrip(": ")
    )


def pickled(setting: Setting, values: dict[str, Any], watch: Watch, asks: bool = False) -> tuple[Pickled, Pickler]:
    """Raises whatever the objects' own code raises, and Stopped and TooMuch."""
    pickler = (PicklerThatAsks if asks else Pickler)(setting, stream := Stream(watch.look))
    with watch.step():
        pickler.dump(values)
    return Pickled(stream, [buffer.raw() for buffer in pickler.buffers], pickler.tombstones), pickler


def scan(setting: Setting, mutability: Mutability, name: str, value: Any, watch: Watch) -> Scan:
    try:
        done, pickler = pickled(setting, {name: value}, watch)
        shared = mutability.of(pickler)
        draws = any(type(each).__module__.startswith("matplotlib") for each in shared.values())
        reach = of_code(iter(pickler.by_value.values()), setting.homes.namespace)
        return Scan(
            reach,
            shared,
            tuple(extent for at, extent in pickler.extents.items() if at not in pickler.fixed),
            draws,
            done,
        )
    except Stopped:
        raise
    except BaseException as error:
        return Scan(Reach(frozenset(), wild=Wild.NOW), lost=reason(error))
