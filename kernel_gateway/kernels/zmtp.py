"""The client's side of ZMTP 3.0 (https://rfc.zeromq.org/spec/23/), NULL mechanism. No I/O: bytes in, messages out.

    greeting = 0xFF | 8 bytes | 0x7F | version u8 u8 | mechanism 20 bytes | as-server u8 | 31 bytes
    frame    = flags u8 | size u8, or u64 where flags has LONG | payload[size]

A command is one frame; a message is frames of which all but the last have MORE. libzmq takes greeting and READY at
once, but drops a peer whose first message comes before its own READY has left; from a peer of version 3.0 a
subscription is an ordinary message. What it sends is bounded here on declared sizes: nothing that belongs to a frame or
message which is too long is kept, nor is a further part of one that has too many.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

_GREETING = struct.Struct("!B8xB2B20sB31x")
_MECHANISM = b"NULL".ljust(20, b"\0")
_MORE, _LONG, _COMMAND = 1, 2, 4
_LONG_SIZE = struct.Struct("!Q")
_PING_TTL_BYTES = 2

SUBSCRIBE_TO_ALL = b"\x01"


class ZmtpError(Exception):
    """The other end broke the protocol or a bound. The connection cannot be used any more."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what the other end may send. Exceeding one is a ZmtpError."""

    max_message_bytes: int
    """All parts of a message together."""
    max_message_parts: int
    max_command_bytes: int = 512
    """READY names two short properties, a PING carries at most 18 bytes. Others are passed over."""


def opening(socket_type: str) -> bytes:
    """What a client sends first, all at once: its greeting and its READY command."""
    greeting = _GREETING.pack(0xFF, 0x7F, 3, 0, _MECHANISM, 0)
    properties = _property(b"Socket-Type", socket_type.encode()) + _property(b"Identity", b"")
    return greeting + _command(b"READY", properties)


def encode(parts: Sequence[bytes]) -> bytes:
    """The frames of one message."""
    last = len(parts) - 1
    return b"".join(_frame(_MORE if n < last else 0, part) for n, part in enumerate(parts))


class Decoder:
    """Turns received bytes into messages. `take` raises ZmtpError once and for all."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._buffer, self._at = bytearray(), 0
        self._parts: list[bytes] = []
        self._bytes = 0
        self._greeted = False
        self.ready = False
        """Messages may be sent."""
        self._error = ""
        self.frames = 0
        """Taken so far. What many small ones cost, their bytes do not say."""
        self.pong = b""
        """The answer to its latest ping, to be sent."""

    def __repr__(self) -> str:
        return f"<Decoder {len(self._buffer)} bytes and {len(self._parts)} parts wait>"

    def feed(self, data: bytes) -> None:
        if not self._error:
            del self._buffer[: self._at]
            self._at = 0
            self._buffer += data

    def take(self, max_frames: int) -> list[list[bytes]]:
        """The messages that are whole, of at most so many frames. Each is taken once."""
        if self._error:
            raise ZmtpError(self._error)
        try:
            return self._take(max_frames)
        except ZmtpError as error:
            self._error = str(error)
            self._buffer, self._at, self._parts = bytearray(), 0, []
            raise

    def _take(self, max_frames: int) -> list[list[bytes]]:
        messages: list[list[bytes]] = []
        if not self._greeted and not self._take_greeting():
            return messages
        for _ in range(max_frames):
            if (found := self._take_frame()) is None:
                break
            self.frames += 1
            flags, payload = found
            if flags & _COMMAND:
                self._obey(payload)
                continue
            self._parts.append(payload)
            self._bytes += len(payload)
            if not flags & _MORE:
                messages.append(self._parts)
                self._parts, self._bytes = [], 0
        return messages

    def _take_greeting(self) -> bool:
        if len(self._buffer) - self._at < _GREETING.size:
            return False
        first, tenth, major, _, mechanism, _ = _GREETING.unpack_from(self._buffer, self._at)
        if first != 0xFF or not tenth & 1 or major < 3 or mechanism != _MECHANISM:
            raise ZmtpError("not a greeting of ZMTP 3 with the NULL mechanism")
        self._at += _GREETING.size
        self._greeted = True
        return True

    def _take_frame(self) -> tuple[int, bytes] | None:
        buffer, at = self._buffer, self._at
        available = len(buffer) - at
        if available < 2:
            return None
        flags = buffer[at]
        if not flags & _LONG:
            size, start = buffer[at + 1], at + 2
        elif available < 1 + _LONG_SIZE.size:
            return None
        else:
            size, start = _LONG_SIZE.unpack_from(buffer, at + 1)[0], at + 1 + _LONG_SIZE.size
        self._check(flags, size)
        end = start + size
        if end > len(buffer):
            return None
        self._at = end
        return flags, bytes(memoryview(buffer)[start:end])

    def _check(self, flags: int, size: int) -> None:
        bounds = self._bounds
        if flags & ~(_MORE | _LONG | _COMMAND):
            raise ZmtpError(f"unknown flags {flags:#x}")
        if flags & _COMMAND:
            if flags & _MORE:
                raise ZmtpError("a command in several frames")
            if size > bounds.max_command_bytes:
                raise ZmtpError(f"a command of {size} bytes is longer than {bounds.max_command_bytes}")
        elif not self.ready:
            raise ZmtpError("a message before the READY command")
        elif self._bytes + size > bounds.max_message_bytes:
            raise ZmtpError(f"a message is longer than {bounds.max_message_bytes} bytes")
        elif len(self._parts) >= bounds.max_message_parts:
            raise ZmtpError(f"a message has more than {bounds.max_message_parts} parts")

    def _obey(self, command: bytes) -> None:
        length = command[0] if command else 0
        name, data = command[1 : 1 + length], command[1 + length :]
        if not self.ready:
            if name != b"READY":
                raise ZmtpError("the first command is not READY")
            self.ready = True
        elif name == b"PING":
            self.pong = _command(b"PONG", data[_PING_TTL_BYTES:])
        elif name == b"ERROR":
            raise ZmtpError("it refused the connection")


def _property(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + struct.pack("!I", len(value)) + value


def _command(name: bytes, data: bytes) -> bytes:
    return _frame(_COMMAND, bytes([len(name)]) + name + data)


def _frame(flags: int, payload: bytes) -> bytes:
    if len(payload) < 256:
        return bytes([flags, len(payload)]) + payload
    return bytes([flags | _LONG]) + _LONG_SIZE.pack(len(payload)) + payload
