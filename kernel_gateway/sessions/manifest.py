"""What a checkpoint says of itself: which variables, in which chunks, and what is missing. Written in the sandbox, so
it is read as a caller's input is."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kernel_ext.wire import is_dense
from kernel_gateway.errors import GatewayError

MAX_VALUES = 400_000  # of JSON in one manifest: some ten thousand variables
MAX_STATE_BYTES = 512 * 1024 * 1024  # half of what a kernel's memory holds: while it is restored the rest is for work
AT_ONCE_BYTES = 64 * 1024  # of a manifest: more takes the event loop's thread over some milliseconds
MAX_UNITS = 20_000  # twice as many as the variables that fit in the bytes of a manifest
MAX_NAMES = 20_000  # of one unit: all variables may share what can change
MAX_CHUNK_NAMES = 100_000  # of one manifest, each as often as it is named
CHUNK_BYTES = 1024 * 1024  # all but the last of a stream have as many
_ALIGNMENT = 64  # of a buffer: as numpy wants its arrays at best
_REFUSED = ("saving it takes longer than", "it takes more than", "holds image bytes")  # as the kernel says it
_Name = Annotated[str, Field(min_length=1, max_length=1000)]
_Chunks = list[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]]
_Count = Annotated[int, Field(ge=0, le=2**48)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Stream(_Strict):
    chunks: _Chunks
    bytes: _Count


class Buffer(Stream):
    read_only: bool = False


class Tombstoned(_Strict):
    """Image bytes that are not kept, and how to get them again."""

    names: list[_Name]
    kind: str = Field(max_length=200)
    bytes: _Count
    how: str = Field(max_length=500)

    def told(self) -> str:
        names = ", ".join(f"`{name}`" for name in self.names)
        return f"{names}: image bytes are never kept ({self.kind}, {self.bytes} bytes); {self.how}"


class Unit(_Strict):
    """Variables that share what can change. `cells` made them what they are; `needs` are the names those cells read.
    `reads`, `wild` and `draws` are the kernel's own notes, for its next save."""

    names: list[_Name]
    cells: list[_Count] = []
    needs: list[_Name] = []
    stream: Stream | None = None
    buffers: list[Buffer] = []
    tombstones: list[Tombstoned] = []
    reads: list[_Name] = []
    wild: int = Field(0, ge=0, le=9)
    draws: bool = False
    lost: str = Field("", max_length=2000)

    @property
    def is_unpicklable(self) -> bool:
        """Lost, and neither for its size nor for an image in it: its cells can make it again."""
        return bool(self.lost) and not self.lost.startswith(_REFUSED)


class Manifest(_Strict):
    format: int = Field(ge=1, le=1)
    cell: _Count
    units: list[Unit]
    order: list[_Name]
    files: int = Field(0, ge=0)

    @classmethod
    def read(cls, raw: bytes, max_state_bytes: int = MAX_STATE_BYTES) -> "Manifest":
        """Raises GatewayError invalid | limited."""
        if is_dense(raw, MAX_VALUES):
            raise GatewayError("invalid", f"a manifest of more than {MAX_VALUES} values")
        try:
            manifest = cls.model_validate(json.loads(raw))
        except (ValidationError, ValueError, RecursionError):
            raise GatewayError("invalid", "a manifest that cannot be read") from None
        manifest.check(max_state_bytes)
        return manifest

    @classmethod
    async def parsed(cls, raw: bytes, max_state_bytes: int = MAX_STATE_BYTES) -> "Manifest":
        """`read`, of what is long on a thread: 3 MiB take 0.2 s."""
        if len(raw) <= AT_ONCE_BYTES:
            return cls.read(raw, max_state_bytes)
        return await asyncio.to_thread(cls.read, raw, max_state_bytes)

    def check(self, max_state_bytes: int) -> None:
        """Whether it takes what it seems to take. Raises GatewayError invalid | limited."""
        streams = list(self.streams())
        if any(len(stream.chunks) != -(-stream.bytes // CHUNK_BYTES) for stream in streams):
            raise GatewayError("invalid", "a manifest that names other chunks than its bytes take")
        if (size := sum(stream.bytes for stream in streams)) > max_state_bytes:
            message = f"the session's variables have {size} bytes; at most {max_state_bytes} are kept; drop some"
            raise GatewayError("limited", message)
        for count, most, what in (
            (len(self.units), MAX_UNITS, "groups of variables"),
            (max((len(unit.names) for unit in self.units), default=0), MAX_NAMES, "variables in one group"),
            (sum(len(stream.chunks) for stream in streams), MAX_CHUNK_NAMES, "chunks"),
        ):
            if count > most:
                raise GatewayError("limited", f"a manifest of {count} {what}; at most {most} are kept; drop some")

    def streams(self) -> Iterator[Stream]:
        for unit in self.units:
            yield from [unit.stream] if unit.stream is not None else ()
            yield from unit.buffers

    def written(self) -> bytes:
        return json.dumps(self.model_dump(exclude_unset=True), separators=(",", ":")).encode()

    def without_hidden(self) -> "Manifest":
        """Without what is no variable, such as the state of random numbers: what a fork does not share."""
        units = [unit for unit in self.units if not all(name.startswith("@") for name in unit.names)]
        return self.model_copy(update={"units": units})

    def lost(self) -> dict[str, str]:
        """By variable, the reason."""
        return {name: unit.lost for unit in self.units if unit.lost for name in unit.names}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies in one piece of memory: the manifest, then each stream and each buffer.

    `places` are chunks by name with their offsets; `units` is as the kernel wants it.
    """

    size: int
    places: list[tuple[str, int]]
    units: list[Any]

    @classmethod
    def of(cls, manifest: Manifest, manifest_bytes: int, max_state_bytes: int = MAX_STATE_BYTES) -> "Layout":
        """Raises GatewayError invalid | limited, as when it was committed: memory is made for what it says."""
        manifest.check(max_state_bytes)
        at = manifest_bytes
        places: list[tuple[str, int]] = []
        units: list[Any] = []

        def place(stream: Stream) -> list[int]:
            nonlocal at
            start = at + -at % _ALIGNMENT
            at = start + stream.bytes
            places.extend((name, start + n * CHUNK_BYTES) for n, name in enumerate(stream.chunks))
            return [start, stream.bytes]

        for unit in manifest.units:
            if unit.stream is None:
                units.append(None)
            else:
                units.append([*place(unit.stream), [place(buffer) for buffer in unit.buffers]])
        return cls(at, places, units)


def chosen(manifest: Manifest, names: Iterable[str], without: Iterable[str]) -> Manifest:
    """Only the units that hold one of `names`, and none that holds one of `without`."""
    wanted, unwanted = set(names), set(without)
    units = [unit for unit in manifest.units if wanted & set(unit.names) and not unwanted & set(unit.names)]
    left = {name for unit in units for name in unit.names}
    return manifest.model_copy(update={"units": units, "order": [name for name in manifest.order if name in left]})


def tombstones(manifest: Manifest) -> Iterator[Tombstoned]:
    for unit in manifest.units:
        yield from unit.tombstones


def told(lost: Mapping[str, str]) -> tuple[str, ...]:
    """In one line each, for the agent: what is gone and why."""
    return tuple(f"`{name}`: {reason}" for name, reason in lost.items() if not name.startswith("@"))
