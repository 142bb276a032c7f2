"""Keeps every message of an honest cell well below what the gateway takes: 8 MiB, and 4 MiB for a reply.

A longer message breaks the connection, and the kernel with it; a longer reply is not read. This is manners and no
boundary: cell code can send past it, and the gateway has caps of its own.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_client.session import Session

from kernel_ext.pictures import smaller

KIB = 1024


@dataclass(frozen=True, slots=True)
class Room:
    """In one message, in characters. As JSON a text is up to three times as many bytes, six if all of it is escaped."""

    text: int = 512 * KIB
    """Twice what the gateway keeps of a text."""
    picture: int = 4096 * KIB
    """All pictures of one output together, as base64: three megabytes are more than the gateway passes on."""
    other: int = 512 * KIB
    """HTML, LaTeX, JSON and what else an output has, together: cut, it would be broken."""


OUTPUT = Room()
# It repeats an error that was shown already, and carries what `name?` answers.
REPLY = Room(text=128 * KIB, picture=1024 * KIB, other=128 * KIB)

Content = dict[str, Any]


class BoundedSession(Session):
    """Everything that a kernel sends passes `send`."""

    def send(self, stream: Any, msg_or_type: Any, content: Any = None, *args: Any, **named: Any) -> Content | None:
        if isinstance(msg_or_type, dict):
            msg_or_type["content"] = bounded(msg_or_type["header"]["msg_type"], msg_or_type["content"])
        else:
            content = bounded(msg_or_type, content)
        return super().send(stream, msg_or_type, content, *args, **named)


def bounded(kind: str, content: Any) -> Any:
    """The content of a message of this kind: itself where it is small, else a copy with what fits."""
    bound = _BOUNDS.get(kind)
    return bound(content) if bound is not None and isinstance(content, dict) else content


def cut(text: str, characters: int) -> str:
    """Head and tail of a text around a marker that says how much is missing."""
    if len(text) <= characters:
        return text
    half = characters // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def _stream(content: Content) -> Content:
    text = content.get("text")
    if not isinstance(text, str) or len(text) <= OUTPUT.text:
        return content
    return {**content, "text": cut(text, OUTPUT.text)}


def _error(content: Content, room: Room = OUTPUT) -> Content:
    lines, value = content.get("traceback"), content.get("evalue")
    if isinstance(lines, list | tuple) and sum(map(_characters, lines)) > room.text:
        content = {**content, "traceback": [cut("\n".join(map(str, lines)), room.text)]}
    if isinstance(value, str) and len(value) > room.text:
        content = {**content, "evalue": cut(value, room.text)}
    return content


def _reply(content: Content) -> Content:
    pages = content.get("payload")
    if pages:
        content = {**content, "payload": [_display(page, REPLY) if isinstance(page, dict) else page for page in pages]}
    return _error(content, REPLY)


def _display(content: Content, room: Room = OUTPUT) -> Content:
    data = content.get("data")
    if not isinstance(data, dict):
        return content
    metadata = content.get("metadata") or {}
    sizes = {mime: _characters(value) for mime, value in data.items()}
    if sum(sizes.values()) + _characters(metadata) <= min(room.text, room.other):
        return content
    kept, notes = {}, []
    pictures, others = room.picture, room.other
    for mime, value in data.items():
        size = sizes[mime]
        if mime == "text/plain" and isinstance(value, str):
            kept[mime] = cut(value, room.text)
        elif mime.startswith("image/") and mime != "image/svg+xml":
            found = (mime, value) if size <= pictures else _smaller_picture(value, pictures)
            if found is None:
                notes.append(_left_out(mime, size))
                continue
            if size > pictures:
                notes.append(f"[{mime} of {_mb(size)} MB was made smaller]")
            kept[found[0]] = found[1]
            pictures -= _characters(found[1])
        elif size <= others:
            kept[mime] = value
            others -= size
        else:
            notes.append(_left_out(mime, size))
    if _characters(metadata) > others:
        notes.append(_left_out("the metadata", _characters(metadata)))
        content = {**content, "metadata": {}}
    if notes:
        kept["text/plain"] = "\n".join([str(kept["text/plain"]), *notes] if "text/plain" in kept else notes)
    return {**content, "data": kept}


def _smaller_picture(value: Any, room: int) -> tuple[str, str] | None:
    try:
        data = value if isinstance(value, bytes) else base64.b64decode(value)
    except (TypeError, ValueError):
        return None
    found = smaller(data, room * 3 // 4 - 3)
    return found and (found[0], base64.b64encode(found[1]).decode())


def _left_out(what: str, size: int) -> str:
    return f"[{what} of {_mb(size)} MB left out: too large to show]"


def _mb(characters: int) -> str:
    return f"{characters / 1_000_000:.1f}"


def _characters(value: Any) -> int:
    """About what it takes as JSON. Bytes travel as base64."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, bytes):
        return len(value) * 4 // 3 + 4
    if not value:
        return 2
    try:
        return len(json.dumps(value, default=str, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):  # the session says what is wrong with it
        return 0


_BOUNDS: dict[str, Callable[[Content], Content]] = {
    "stream": _stream,
    "display_data": _display,
    "update_display_data": _display,
    "execute_result": _display,
    "error": _error,
    "execute_reply": _reply,
    "inspect_reply": _display,
}
