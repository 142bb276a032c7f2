"""What a cell showed, gathered under caps. Pure: messages in, one value out."""

import base64
import binascii
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp")
_DISPLAYS = frozenset({"execute_result", "display_data", "update_display_data"})
SHOWN_KINDS = _DISPLAYS | {"stream", "error"}
"""The messages that show something; of no other is the content read."""


def without_ansi(text: str) -> str:
    return _ANSI.sub("", text)


class Text:
    """A stream's head and tail, each at most half of `max_bytes` characters; the middle is dropped and counted."""

    def __init__(self, max_characters: int) -> None:
        self._room, self._half = max_characters // 2, max_characters // 2
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._tail_length = 0
        self.total, self.dropped = 0, 0

    def write(self, text: str) -> None:
        self.total += len(text)
        if self._room:
            self._head.append(text[: self._room])
            self._room, text = max(0, self._room - len(text)), text[self._room :]
        if text:
            text = text[-self._half :]
            self._tail.append(text)
            self._tail_length += len(text)
        while self._tail and self._tail_length - len(self._tail[0]) >= self._half:
            self._tail_length -= len(self._tail.popleft())

    def read(self) -> str:
        head, tail = "".join(self._head), "".join(self._tail)[-self._half :]
        self.dropped = self.total - len(head) - len(tail)
        return f"{head}\n[... {self.dropped} characters left out ...]\n{tail}" if self.dropped else head + tail


@dataclass(frozen=True, slots=True)
class Shown:
    """One output for the record: its kind and size, never its content."""

    mime: str
    size_bytes: int
    content: bytes = field(repr=False, default=b"")


class Outputs:
    """Collects iopub messages of one cell."""

    def __init__(self, max_text_characters: int, max_images: int) -> None:
        self._stdout, self._stderr = Text(max_text_characters), Text(max_text_characters)
        self._max_text = max_text_characters
        self._results: list[str] = []
        self._result_room = max_text_characters
        self._max_images = max_images
        self.images: list[tuple[str, bytes]] = []
        self.shown: list[Shown] = []
        self.error: tuple[str, str, str] | None = None
        self.dropped_messages = 0
        self.truncated = False

    def take(self, kind: str, content: dict[str, Any]) -> None:
        """One message, known to belong to the cell. A malformed one is dropped: a kernel may send anything."""
        if kind == "stream":
            self._stream(content)
        elif kind in _DISPLAYS:
            self._display(content.get("data"))
        elif kind == "error":
            traceback = content.get("traceback")
            lines = [line for line in traceback if isinstance(line, str)] if isinstance(traceback, list) else []
            texts = (_text(content.get("ename")), _text(content.get("evalue")), without_ansi("\n".join(lines)))
            self.truncated |= any(len(text) > self._max_text for text in texts)
            name, value, trace = (self._cut(text) for text in texts)
            self.error = (name, value, trace)

    @property
    def stdout(self) -> str:
        return self._stdout.read()

    @property
    def stderr(self) -> str:
        return self._stderr.read()

    @property
    def result(self) -> str:
        return "\n".join(self._results)

    @property
    def stdout_bytes(self) -> int:
        return self._stdout.total

    @property
    def stderr_bytes(self) -> int:
        return self._stderr.total

    @property
    def is_truncated(self) -> bool:
        self._stdout.read(), self._stderr.read()
        return bool(self.truncated or self.dropped_messages or self._stdout.dropped or self._stderr.dropped)

    def _cut(self, text: str) -> str:
        kept = Text(self._max_text)
        kept.write(text)
        return kept.read()

    def _stream(self, content: dict[str, Any]) -> None:
        text = without_ansi(_text(content.get("text")))
        (self._stderr if content.get("name") == "stderr" else self._stdout).write(text)

    def _display(self, data: Any) -> None:
        if not isinstance(data, dict):
            return
        image = next((each for each in map(_image, data.items()) if each), None)
        if image is not None and len(self.images) < self._max_images:
            self.images.append(image)
            self.shown.append(Shown(image[0], len(image[1]), image[1]))
            return
        self.truncated |= image is not None
        text = without_ansi(_text(data.get("text/plain")))
        if text:
            self.truncated |= len(text) > self._result_room
            self._results.append(text[: self._result_room])
            self._result_room -= len(self._results[-1])
            self.shown.append(Shown("text/plain", len(text.encode()), text.encode()))


def _text(value: Any) -> str:
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _image(item: tuple[Any, Any]) -> tuple[str, bytes] | None:
    mime, value = item
    if mime not in _IMAGE_TYPES or not isinstance(value, str):
        return None
    try:
        return mime, base64.b64decode(value)
    except (binascii.Error, ValueError):
        return None
