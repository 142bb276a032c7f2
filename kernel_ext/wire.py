"""The messages both ends of the sixth channel speak. No I/O: bytes in, messages out, and the reverse.

A message is a small JSON head and an optional binary body. It travels as frames of at most 256 KiB, so that
frames of different messages interleave and a large blob never holds up a small call. Every bound is checked on
the declared sizes, before a byte of payload is kept and before anything is parsed.

    frame  = version u8 | kind u8 | flags u16 | id u32 | length u32 | payload[length]
    first  frame of a message: flags has FIRST, payload begins with head_length u32 | body_length u64
    last   frame of a message: flags has LAST; every other frame is full, so that a message has few
"""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

VERSION = 1
MAX_FRAME_BYTES = 256 * 1024
_HEADER = struct.Struct("!BBHII")
_SIZES = struct.Struct("!IQ")
_FIRST, _LAST = 1, 2
MAX_ID = 2**32 - 1


class Kind(IntEnum):
    """Who may send it, and what its head holds."""

    DROPPED = 0  # nobody: what a decoder gives for a message that it was told not to keep
    READY = 1  # kernel -> gateway  {"python", "pid"}: sockets are bound, extension loaded, no identity yet
    CLAIM = 2  # gateway -> kernel  {"key", "manifest", "execution_count"}: the one frame that gives it an identity
    CLAIMED = 3  # kernel -> gateway  {}
    CALL = 4  # kernel -> gateway  {"operation", "arguments"}
    SEARCH = 5  # kernel -> gateway  {"query", "limit", "threshold"}
    READ = 6  # kernel -> gateway  {"handle"}
    WRITE = 7  # kernel -> gateway  {"handle"} + body
    RESULT = 8  # gateway -> kernel  {"value"} [+ body], under the id of the request
    ERROR = 9  # gateway -> kernel  {"code", "message", "retry_after"?}, under its id; ends an answer that is half sent
    SAVE = 10  # gateway -> kernel  {"cell", "seconds", "bytes", "everything"}: write down what is there after that cell
    YIELD = 11  # gateway -> kernel  {}: a cell waits, so stop saving
    CHUNKS = 12  # kernel -> gateway  {"chunks": [[name, bytes], ...]} + body: those, one after the other
    SAVED = 13  # kernel -> gateway  {"cell", "chunks", "manifest": bytes} + body: the end; or {"cell", "stopped"}
    LOAD = 14  # gateway -> kernel  see kernel_ext/keeping.py, + body or what the memory file holds
    LOADED = 15  # kernel -> gateway  {"lost": {variable: reason}}


@dataclass(frozen=True, slots=True)
class Message:
    kind: Kind
    id: int
    head: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<Message {self.kind.name} {self.id} body={len(self.body)}>"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one end accepts from the other. All in bytes or counts; exceeding one is a WireError."""

    max_head_bytes: int = 256 * 1024
    max_head_values: int = 20_000
    max_body_bytes: int = 64 * 1024 * 1024
    max_open_messages: int = 128
    max_open_bytes: int = 160 * 1024 * 1024


class WireError(Exception):
    """The other end broke the protocol. The connection cannot be used any more."""


def encode(message: Message) -> Iterator[bytes]:
    """The frames of `message`, in order. Frames of several messages may be interleaved at will.

    Raises TypeError or ValueError at once where the head is not JSON, never later while frames are taken.
    """
    head = json.dumps(message.head, separators=(",", ":"), allow_nan=False).encode()
    return _frames(message, memoryview(_SIZES.pack(len(head), len(message.body)) + head))


def _frames(message: Message, payload: memoryview) -> Iterator[bytes]:
    body, split = memoryview(message.body), len(payload)
    total = split + len(body)
    for start in range(0, total, MAX_FRAME_BYTES):
        end = start + MAX_FRAME_BYTES
        flags = (_FIRST if start == 0 else 0) | (_LAST if end >= total else 0)
        yield _frame(message, flags, payload[start:end], body[max(0, start - split) : max(0, end - split)])


def _frame(message: Message, flags: int, *parts: memoryview) -> bytes:
    length = sum(len(part) for part in parts)
    return b"".join([_HEADER.pack(VERSION, message.kind, flags, message.id, length), *parts])


class _Partial:
    __slots__ = ("data", "head_length", "kept", "kind", "received", "total")

    def __init__(self, kind: Kind, head_length: int, body_length: int, *, kept: bool) -> None:
        self.kind, self.head_length, self.total, self.kept = kind, head_length, head_length + body_length, kept
        self.data, self.received = bytearray(), 0

    def take(self, payload: bytes) -> None:
        self.received += len(payload)
        if self.kept:
            self.data += payload

    def drop(self) -> None:
        self.kept, self.data = False, bytearray()

    def message(self, id_: int, max_values: int) -> Message:
        if not self.kept:
            return Message(Kind.DROPPED, id_)
        head = _parse_head(bytes(self.data[: self.head_length]), max_values)
        return Message(self.kind, id_, head, bytes(self.data[self.head_length :]))


class Decoder:
    """Turns received bytes into messages. `feed` raises WireError once and for all.

    A message of several frames is kept where `admit(id, bytes)` says so; of another one no byte is, and it is DROPPED.
    """

    def __init__(
        self, limits: Limits, accepts: frozenset[Kind], admit: Callable[[int, int], bool] = lambda _id, _bytes: True
    ) -> None:
        self._limits, self._accepts, self._admit = limits, accepts, admit
        self._buffer = bytearray()
        self._open: dict[int, _Partial] = {}
        self._open_bytes = 0

    def __repr__(self) -> str:
        return f"<Decoder {len(self._open)} open, {self._open_bytes} bytes declared>"

    def drop_open(self) -> list[int]:
        """Keeps nothing of what is half received. Returns its ids; what still comes of it is DROPPED."""
        dropped = [id_ for id_, partial in self._open.items() if partial.kept]
        for id_ in dropped:
            self._open[id_].drop()
        return dropped

    def feed(self, data: bytes) -> list[Message]:
        self._buffer += data
        messages = []
        at = 0
        with memoryview(self._buffer) as view:
            while len(view) - at >= _HEADER.size:
                version, kind, flags, id_, length = _HEADER.unpack_from(view, at)
                self._check_header(version, kind, length)
                if len(view) - at < _HEADER.size + length:
                    break
                payload = bytes(view[at + _HEADER.size : at + _HEADER.size + length])
                at += _HEADER.size + length
                if (message := self._accept(Kind(kind), flags, id_, payload)) is not None:
                    messages.append(message)
        del self._buffer[:at]
        return messages

    def _check_header(self, version: int, kind: int, length: int) -> None:
        if version != VERSION:
            raise WireError(f"version {version} is not spoken here")
        if kind not in self._accepts:
            raise WireError(f"kind {kind} is not accepted here")
        if length > MAX_FRAME_BYTES:
            raise WireError(f"a frame of {length} bytes is longer than {MAX_FRAME_BYTES}")

    def _accept(self, kind: Kind, flags: int, id_: int, payload: bytes) -> Message | None:
        if flags & ~(_FIRST | _LAST):
            raise WireError(f"unknown flags {flags:#x}")
        if not flags & _LAST and len(payload) != MAX_FRAME_BYTES:
            raise WireError("a short frame that is not the last of its message")
        if flags & _FIRST:
            if len(payload) < _SIZES.size:
                raise WireError("a first frame too short to hold its sizes")
            partial = self._begin(kind, id_, *_SIZES.unpack_from(payload), whole=bool(flags & _LAST))
            payload = payload[_SIZES.size :]
        else:
            if id_ not in self._open:
                raise WireError(f"a continuation of message {id_}, which was never begun")
            partial = self._open[id_]
            if partial.kind != kind:
                raise WireError(f"message {id_} changed its kind")
        partial.take(payload)
        if partial.received > partial.total:
            raise WireError(f"message {id_} is longer than it declared")
        if not flags & _LAST:
            return None
        if partial.received != partial.total:
            raise WireError(f"message {id_} is shorter than it declared")
        self._close(id_)
        return partial.message(id_, self._limits.max_head_values)

    def _begin(self, kind: Kind, id_: int, head_length: int, body_length: int, *, whole: bool) -> _Partial:
        limits = self._limits
        if id_ in self._open:
            if kind is not Kind.ERROR:
                raise WireError(f"message {id_} was begun twice")
            self._close(id_)  # who sends it has given up
        if head_length > limits.max_head_bytes:
            raise WireError(f"a head of {head_length} bytes is longer than {limits.max_head_bytes}")
        if body_length > limits.max_body_bytes:
            raise WireError(f"a body of {body_length} bytes is longer than {limits.max_body_bytes}")
        if len(self._open) >= limits.max_open_messages:
            raise WireError(f"more than {limits.max_open_messages} messages at once")
        if self._open_bytes + head_length + body_length > limits.max_open_bytes:
            raise WireError(f"more than {limits.max_open_bytes} bytes at once")
        kept = whole or self._admit(id_, head_length + body_length)
        partial = self._open[id_] = _Partial(kind, head_length, body_length, kept=kept)
        self._open_bytes += partial.total
        return partial

    def _close(self, id_: int) -> None:
        self._open_bytes -= self._open.pop(id_).total


def is_dense(raw: bytes, max_values: int) -> bool:
    """Whether JSON `raw` may hold more values than that: few bytes of it can cost much time. Told without parsing it.

    What separates values is counted, outside of texts. A zero byte is in no JSON of UTF-8: another encoding could make
    texts look other than they are.
    """
    if _separators(raw) <= max_values:
        return b"\0" in raw
    bare = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    if b"\0" in raw or bare.count(b'"') > 4 * max_values:
        return True
    return _separators(b"".join(bare.split(b'"')[::2])) > max_values


def _separators(raw: bytes) -> int:
    return sum(map(raw.count, (b",", b"[", b"{")))


def _parse_head(raw: bytes, max_values: int) -> dict[str, Any]:
    if is_dense(raw, max_values):
        raise WireError(f"a head of more than {max_values} values")
    try:
        head = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise WireError("a head that is not JSON") from error
    if not isinstance(head, dict):
        raise WireError("a head that is not a JSON object")
    return head
