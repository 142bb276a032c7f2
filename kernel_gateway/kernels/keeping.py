"""A kernel's variables on their way out and in. What comes is hostile bytes: taken in order, counted, never opened."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kernel_ext.wire import Kind, Message
from kernel_gateway.errors import GatewayError
from kernel_gateway.kernels.shares import BlobRoom

STATE = frozenset({Kind.CHUNKS, Kind.SAVED, Kind.LOADED})
MAX_CHUNKS = 100_000  # of one save: as many as a checkpoint may be allowed to have. The head bounds those of a message
ENTRY_BYTES = 256  # that a chunk takes beyond its own: its name, two objects, its place among the others
_NAME = re.compile(r"[0-9a-f]{32}")
_NOT_ASKED = {"code": "denied", "message": "nobody asked for it"}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be saved: the state after `cell`, within a budget. `everything` looks also at what no cell named."""

    cell: int
    seconds: float
    max_bytes: int
    everything: bool = False

    def head(self) -> dict[str, Any]:
        return {"cell": self.cell, "seconds": self.seconds, "bytes": self.max_bytes, "everything": self.everything}


class Sink(Protocol):
    """Where a save goes. Whatever they raise, nothing of this save counts then."""

    async def put(self, chunks: Mapping[str, bytes]) -> None:
        """By the sandbox's names."""

    async def commit(self, manifest: bytes) -> None: ...


class _Save:
    """One under way. `said` is the kernel's last word of it, `ended` whether it is kept."""

    def __init__(self, order: Order, sink: Sink, room: BlobRoom) -> None:
        loop = asyncio.get_running_loop()
        self.order, self.sink, self._room = order, sink, room
        self.said: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[bool] = loop.create_future()
        self._bytes = self._chunks = self._held = 0

    async def put(self, head: Mapping[str, Any], body: bytes) -> None:
        """Raises GatewayError invalid | too_large | limited."""
        entries = head.get("chunks", [])
        if not isinstance(entries, list):
            raise GatewayError("invalid", "chunks are a list")
        chunks = _cut(entries, body)
        self._charge(len(entries), len(body))
        await self.sink.put(chunks)

    def _charge(self, chunks: int, size: int) -> None:
        self._bytes += size
        self._chunks += chunks
        if self._bytes > self.order.max_bytes:
            raise GatewayError("too_large", f"a save may take {self.order.max_bytes} bytes")
        if self._chunks > MAX_CHUNKS:
            raise GatewayError("too_large", f"a save may have {MAX_CHUNKS} chunks")
        taken = size + chunks * ENTRY_BYTES
        if not self._room.take(taken):
            raise GatewayError("limited", "too many sessions are being saved; this one is saved later")
        self._held += taken

    def close(self) -> None:
        self._room.give(self._held)
        self._held = 0
        for future in (self.said, self.ended):
            if not future.done():
                future.cancel()


class Keeping:
    """One save or load at a time. `send` puts a message on the sixth channel; what is given and not written yet has its
    place in `room`, which is that of all kernels. `on_end` is called at the end of every save."""

    def __init__(self, send: Callable[[Message], object], room: BlobRoom, on_end: Callable[[], None]) -> None:
        self._send, self._room, self._on_end = send, room, on_end
        self._save: _Save | None = None
        self._loaded: asyncio.Future[dict[str, str]] | None = None

    def __repr__(self) -> str:
        return f"<Keeping {'saving' if self.is_saving else 'loading' if self._loaded else 'idle'}>"

    @property
    def is_saving(self) -> bool:
        """Whether the kernel is at it: what it has said everything about may still be on its way to the disk."""
        return self._save is not None and not self._save.said.done()

    async def save(self, order: Order, sink: Sink, died: "asyncio.Future[str]") -> bool:
        """False where it was stopped, or the kernel died. Raises what the sink raised."""
        save = self._save = _Save(order, sink, self._room)
        try:
            self._send(Message(Kind.SAVE, 0, order.head()))
            await _either(save.ended, died)
            return save.ended.result() if save.ended.done() else False
        finally:
            self._save = None
            save.close()
            self._on_end()

    def stop(self) -> "asyncio.Future[None] | None":
        """A cell waits. Resolves when the kernel has stopped saving; None where it was not."""
        if self._save is None or not self.is_saving:
            return None
        self._send(Message(Kind.YIELD, 0))
        return self._save.said

    async def load(self, head: Mapping[str, Any], body: bytes, died: "asyncio.Future[str]") -> dict[str, str]:
        """What could not be loaded, with reasons. Raises GatewayError("kernel_died")."""
        self._loaded = asyncio.get_running_loop().create_future()
        try:
            self._send(Message(Kind.LOAD, 0, dict(head), body))
            await _either(self._loaded, died)
            if not self._loaded.done():
                raise GatewayError("kernel_died", "the kernel died while it was restored; send the cell again")
            return self._loaded.result()
        finally:
            self._loaded = None

    async def answer(self, message: Message) -> Message:
        """To the kernel. A cell's code can say such things too: of its own session's state, and of no other's."""
        save = self._save if self.is_saving else None
        try:
            if message.kind is Kind.LOADED and self._loaded is not None and not self._loaded.done():
                self._loaded.set_result(_reasons(message.head.get("lost")))
            elif message.kind is Kind.CHUNKS and save is not None:
                await save.put(message.head, message.body)
            elif message.kind is Kind.SAVED and save is not None:
                await _finish(message, save)
            else:
                return Message(Kind.ERROR, message.id, _NOT_ASKED)
        except GatewayError as error:
            return Message(Kind.ERROR, message.id, {"code": error.code, "message": error.message})
        return Message(Kind.RESULT, message.id, {"value": None})


async def _finish(message: Message, save: _Save) -> None:
    """It is kept only where the sink has said so."""
    save.said.set_result(None)
    is_kept = False
    try:
        if "stopped" not in message.head:
            await _commit(message, save)
            is_kept = True
    except Exception as error:
        if not save.ended.done():
            save.ended.set_exception(error)
        raise
    finally:
        if not save.ended.done():
            save.ended.set_result(is_kept)


async def _commit(message: Message, save: _Save) -> None:
    if message.head.get("cell") != save.order.cell:
        raise GatewayError("invalid", "another cell's state than was asked for")
    length = message.head.get("manifest")
    if type(length) is not int or not 0 < length <= len(message.body):
        raise GatewayError("invalid", "a manifest that is not there")
    split = len(message.body) - length
    await save.put(message.head, message.body[:split])
    await save.sink.commit(message.body[split:])


def _cut(entries: list[Any], body: bytes) -> dict[str, bytes]:
    """Raises GatewayError invalid."""
    chunks, at = {}, 0
    for entry in entries:
        match entry:
            case [str(name), int(length)] if length > 0 and _NAME.fullmatch(name):
                chunks[name] = body[at : at + length]
                at += length
            case _:
                raise GatewayError("invalid", "chunks are pairs of a name (32 hex digits) and a length")
    if at != len(body):
        raise GatewayError("invalid", "chunks of other lengths than declared")
    return chunks


async def _either(*futures: "asyncio.Future[Any]") -> None:
    await asyncio.wait(set(futures), return_when=asyncio.FIRST_COMPLETED)


def _reasons(lost: object) -> dict[str, str]:
    found = lost.items() if isinstance(lost, dict) else ()
    return {str(name)[:200]: str(reason)[:500] for name, reason in found}
