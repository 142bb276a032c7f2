"""Blob handles: bytes in and out of the sandbox without a URL ever entering it."""

from collections.abc import Callable
from typing import Any

from kernel_ext.channel import attached
from kernel_ext.errors import ToolError
from kernel_ext.wire import Kind

on_read: Callable[[bytes], None] | None = None
"""Is shown what a handle read: who keeps images out of stored state has to know which came in."""


class Blob:
    """A file held outside. `direction` is "read" or "write"; `size` (bytes) and `expires_at` (ISO 8601) may be None.

    A handle works only in the session it was given to, and a write handle works once.
    """

    __slots__ = ("_id", "content_type", "direction", "expires_at", "size")

    def __init__(
        self,
        id: str,  # noqa: A002 -- the name on the wire
        direction: str,
        size: int | None = None,
        content_type: str | None = None,
        expires_at: str | None = None,
    ) -> None:
        self._id, self.direction, self.size = id, direction, size
        self.content_type, self.expires_at = content_type, expires_at

    def __repr__(self) -> str:
        size = f" {self.size} bytes" if self.size is not None else ""
        return f"<Blob to {self.direction}: {self.content_type or 'any type'}{size}>"

    def read(self) -> bytes:
        """The bytes. Raises ToolError."""
        __tracebackhide__ = True
        body = attached().request(Kind.READ, {"handle": self._id}).body
        if on_read is not None:
            on_read(body)
        return body

    def write(self, data: "bytes | bytearray | memoryview") -> int:
        """Stores `data` and returns its length in bytes. Works once. Raises ToolError."""
        __tracebackhide__ = True
        try:
            body = data if isinstance(data, bytes) else memoryview(data).tobytes()
        except TypeError:
            given = type(data).__name__
            raise ToolError(
                "invalid", f"`write` takes bytes, not {given}; `text.encode()` makes bytes of a text"
            ) from None
        attached().request(Kind.WRITE, {"handle": self._id}, body)
        return len(body)


class Record(dict[str, Any]):
    """An answer: a dict whose keys are also attributes (`job.status` is `job["status"]`)."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"this record has no field `{name}`; it has {', '.join(self) or 'none'}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(key for key in self if key.isidentifier())]


def revive(value: Any) -> Any:
    """JSON as the gateway sends it, with its handles as Blobs and its objects as Records."""
    if isinstance(value, list):
        return [revive(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"$blob"}:
            return Blob(**value["$blob"])
        return Record({key: revive(item) for key, item in value.items()})
    return value
