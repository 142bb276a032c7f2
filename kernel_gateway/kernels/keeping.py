"""A kernel's variables on their way out and in. What comes is hostile bytes: taken in order, counted, never opened."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kernel_ext.wire import Kind, Message
from kernel_gateway.errors import GatewayError

STATE = frozenset({Kind.CHUNKS, Kind.SAVED, Kind.LOADED})
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


class Keeping:
    """One save or load at a time. `send` puts a message on the sixth channel."""

    def __init__(self, send: Callable[[Message], object]) -> None:
        self._send = send
        self._order: Order | None = None
        self._sink: Sink | None = None
        self._bytes = 0
        self._said: asyncio.Future[None] | None = None  # the kernel's last word of a save
        self._ended: asyncio.Future[bool] | None = None
        self._loaded: asyncio.Future[dict[str, str]] | None = None

    def __repr__(self) -> str:
        return f"<Keeping {'saving' if self.is_saving else 'loading' if self._loaded else 'idle'}>"

    @property
    def is_saving(self) -> bool:
        """Whether the kernel is at it: what it has said everything about may still be on its way to the disk."""
        return self._said is not None and not self._said.done()

    async def save(self, order: Order, sink: Sink, died: "asyncio.Future[str]") -> bool:
        """False where it was stopped, or the kernel died. Raises what the sink raised."""
        loop = asyncio.get_running_loop()
        self._order, self._sink, self._bytes = order, sink, 0
        self._said, self._ended = loop.create_future(), loop.create_future()
        try:
            self._send(Message(Kind.SAVE, 0, order.head()))
            await _either(self._ended, died)
            return self._ended.result() if self._ended.done() else False
        finally:
            self._order = self._sink = None
            for future in (self._said, self._ended):
                if not future.done():
                    future.cancel()

    def stop(self) -> "asyncio.Future[None] | None":
        """A cell waits. Resolves when the kernel has stopped saving; None where it was not."""
        if not self.is_saving:
            return None
        self._send(Message(Kind.YIELD, 0))
        return self._said

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
        try:
            if message.kind is Kind.LOADED and self._loaded is not None and not self._loaded.done():
                self._loaded.set_result(_reasons(message.head.get("lost")))
            elif message.kind is Kind.CHUNKS and self._sink is not None and self.is_saving:
                await self._sink.put(self._cut(message.head, message.body))
            elif message.kind is Kind.SAVED and self._sink is not None and self.is_saving:
                await self._finish(message, self._sink)
            else:
                return Message(Kind.ERROR, message.id, _NOT_ASKED)
        except GatewayError as error:
            return Message(Kind.ERROR, message.id, {"code": error.code, "message": error.message})
        return Message(Kind.RESULT, message.id, {"value": None})

    async def _finish(self, message: Message, sink: Sink) -> None:
        assert self._said is not None
        assert self._ended is not None
        assert self._order is not None
        ended, order = self._ended, self._order
        self._said.set_result(None)
        is_kept = False
        try:
            if "stopped" in message.head:
                return
            if message.head.get("cell") != order.cell:
                raise GatewayError("invalid", "another cell's state than was asked for")
            length = message.head.get("manifest")
            if type(length) is not int or not 0 < length <= len(message.body):
                raise GatewayError("invalid", "a manifest that is not there")
            split = len(message.body) - length
            await sink.put(self._cut(message.head, message.body[:split]))
            await sink.commit(message.body[split:])
            is_kept = True
        except Exception as error:
            if not ended.done():
                ended.set_exception(error)
            raise
        finally:
            if not ended.done():
                ended.set_result(is_kept)

    def _cut(self, head: Mapping[str, Any], body: bytes) -> dict[str, bytes]:
        """Raises GatewayError invalid | too_large."""
        assert self._order is not None
        self._bytes += len(body)
        if self._bytes > self._order.max_bytes:
            raise GatewayError("too_large", f"a save may take {self._order.max_bytes} bytes")
        chunks, at = {}, 0
        for entry in head.get("chunks", ()):
            match entry:
                case [str(name), int(length)] if length >= 0:
                    chunks[name] = body[at : at + length]
                    at += length
                case _:
                    raise GatewayError("invalid", "chunks are pairs of a name and a length")
        if at != len(body):
            raise GatewayError("invalid", "chunks of other lengths than declared")
        return chunks


async def _either(*futures: "asyncio.Future[Any]") -> None:
    await asyncio.wait(set(futures), return_when=asyncio.FIRST_COMPLETED)


def _reasons(lost: object) -> dict[str, str]:
    found = lost.items() if isinstance(lost, dict) else ()
    return {str(name)[:200]: str(reason)[:500] for name, reason in found}
