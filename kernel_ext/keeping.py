"""This kernel's variables on their way out and in. On the main thread, between cells; the channel's thread only tells.

LOAD's head is {"count": the number of the next cell} and, where there is something to load, {"manifest": bytes,
"units": [[offset, bytes, [[offset, bytes], ...]] or null, ...], "keep": [variable, ...], "adopt": bool, "size": bytes
of the memory file or 0}: first the manifest, then what it lists, at these places of the body or of the memory file.
"""

import json
import mmap
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tornado.ioloop import IOLoop

from kernel_ext import blobs
from kernel_ext.channel import Channel
from kernel_ext.checkpoint import decoding
from kernel_ext.checkpoint.guard import Guard
from kernel_ext.checkpoint.loader import load
from kernel_ext.checkpoint.pickling import Stopped
from kernel_ext.checkpoint.saver import Budget, Saver
from kernel_ext.checkpoint.sharing import held
from kernel_ext.errors import ToolError
from kernel_ext.wire import Kind, Message

_PACK_BYTES = 1024 * 1024  # of chunks in one message
_PRIVATE = frozenset(("_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh", "_dh", "In", "Out", "_exit_code"))


class Keeper:
    def __init__(self, shell: Any, channel: Channel, loop: IOLoop, memory: int) -> None:
        self._shell, self._channel, self._loop, self._memory = shell, channel, loop, memory
        guard = Guard()
        decoding.watch(guard.noted_image)
        blobs.on_read = guard.noted_blob
        self._saver = Saver(shell.user_ns, self._hidden, guard)
        self._cell = 0
        self._home = Path.cwd()
        self._files = set(self._home.iterdir())
        self._stop: Future[None] = Future()
        self._pack: list[tuple[str, bytes]] = []
        self._packed_bytes = 0
        self._copies: dict[str, set[str]] = {}  # by variable that was made again: those that it had a hold of

    def ran(self, cell: int, source: str) -> None:
        """A cell has ended, however."""
        self._cell = cell
        self._saver.ran(cell, source)

    def on_message(self, message: Message) -> None:
        """On the channel's thread."""
        if message.kind is Kind.SAVE:
            stop: Future[None] = Future()
            self._stop = stop
            self._loop.add_callback(self._save, message.head, stop)
        elif message.kind is Kind.YIELD and not self._stop.done():
            self._stop.set_result(None)
        elif message.kind is Kind.LOAD:
            self._loop.add_callback(self._load, message.head, message.body)

    def _save(self, head: dict[str, Any], stop: "Future[None]") -> None:
        self._stop, self._pack, self._packed_bytes = stop, [], 0
        budget = Budget(seconds=head["seconds"], bytes=head["bytes"])
        try:
            if self._cell != head["cell"]:
                raise Stopped
            with _interruptible():
                manifest = self._saver.save(budget, self._put, stop.done, everything=head["everything"])
            manifest["files"] = len({*self._home.iterdir()} - self._files)  # which go with the kernel
            written = json.dumps(manifest, separators=(",", ":")).encode()
        except (Stopped, KeyboardInterrupt, ToolError) as reason:
            self._channel.submit(Kind.SAVED, {"cell": head["cell"], "stopped": type(reason).__name__})
            return
        names = [[name, len(data)] for name, data in self._pack]
        body = b"".join([*(data for _, data in self._pack), written])
        saved = self._channel.submit(
            Kind.SAVED, {"cell": head["cell"], "chunks": names, "manifest": len(written)}, body
        )
        saved.add_done_callback(lambda done: self._loop.add_callback(self._answered, done, manifest))

    def _answered(self, saved: "Future[Message]", manifest: dict[str, Any]) -> None:
        if saved.exception() is None:
            self._saver.committed(manifest)

    def _put(self, name: str, data: "memoryview | bytes") -> None:
        """Small ones wait for others. Raises Stopped, and ToolError where the gateway takes no more."""
        if self._packed_bytes + len(data) > _PACK_BYTES:
            self._send()
        self._pack.append((name, bytes(data)))
        self._packed_bytes += len(data)

    def _send(self) -> None:
        if not self._pack:
            return
        head = {"chunks": [[name, len(data)] for name, data in self._pack]}
        sent = self._channel.submit(Kind.CHUNKS, head, b"".join(data for _, data in self._pack))
        self._pack, self._packed_bytes = [], 0
        either: tuple[Future[Any], ...] = (sent, self._stop)
        wait(either, return_when=FIRST_COMPLETED)
        if self._stop.done():
            raise Stopped
        sent.result()

    def _load(self, head: dict[str, Any], body: bytes) -> None:
        try:
            lost = self._loaded(head, body)
        except Exception as error:  # the gateway waits for a word
            lost = {"*": f"{type(error).__name__}: {error}"}
        self._channel.submit(Kind.LOADED, {"lost": lost})

    def _loaded(self, head: dict[str, Any], body: bytes) -> dict[str, str]:
        self._shell.execution_count = head["count"]
        if "manifest" not in head:
            return {}
        data = memoryview(bytearray(body))  # which a cell may change
        if size := head["size"]:  # a private mapping: what a cell changes is its own copy of a page
            protection = mmap.PROT_READ | mmap.PROT_WRITE
            data = memoryview(mmap.mmap(self._memory, size, flags=mmap.MAP_PRIVATE, prot=protection))
        manifest = json.loads(bytes(data[: head["manifest"]]))
        namespace, kept = self._shell.user_ns, self._hidden() | set(head["keep"])
        self._note_copies(head["keep"])
        for name in [name for name in namespace if name not in kept]:
            del namespace[name]
        places = head["units"]

        def stream(unit: int) -> bytes:
            at, length, _ = places[unit]
            return bytes(data[at : at + length])

        def buffers(unit: int) -> list[memoryview]:
            found = zip(places[unit][2], manifest["units"][unit]["buffers"], strict=True)
            parts = [(data[at : at + length], buffer["read_only"]) for (at, length), buffer in found]
            return [part.toreadonly() if is_fixed else part for part, is_fixed in parts]

        with _interruptible():
            lost = load(manifest, stream, buffers, namespace)
        if head["adopt"]:
            self._cell = manifest["cell"]
            self._saver.adopt(manifest)
        lost = {name: why for name, why in lost.items() if name not in head["keep"] or name not in namespace}
        return lost | self._copies_told(head["keep"])

    def _note_copies(self, keep: list[str]) -> None:
        """What is kept goes on with what it holds, also where that is loaded anew."""
        namespace, hidden = self._shell.user_ns, self._hidden()
        holders = {name: namespace[name] for name in keep if name in namespace}
        others = {name: value for name, value in namespace.items() if name not in hidden and name not in holders}
        for name, copies in held(holders, others, namespace).items():
            self._copies[name] = self._copies.get(name, set()) | copies

    def _copies_told(self, keep: list[str]) -> dict[str, str]:
        namespace, told = self._shell.user_ns, {}
        for name in keep:
            there = sorted(f"`{copy}`" for copy in self._copies.get(name, ()) if copy in namespace)
            if name in namespace and there:
                why = "made again, over what they were then: it does not see their changes, nor they its"
                told[name] = f"no longer shares {', '.join(there[:10])}; it was {why}"
        return told

    def _hidden(self) -> set[str]:
        """What IPython and the client put there, unless a cell has taken the name."""
        namespace = self._shell.user_ns
        hidden = self._shell.user_ns_hidden
        own = {name for name, value in hidden.items() if name in namespace and namespace[name] is value}
        return own | _PRIVATE | {name for name in namespace if name.startswith("_i") and name[2:].isdigit()}


@contextmanager
def _interruptible() -> Iterator[None]:
    """Variables may bring code of their own, which may hang."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
