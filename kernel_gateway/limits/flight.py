"""What is under way at this moment in one session, and the refusal of more."""

from collections.abc import Iterator
from contextlib import contextmanager

from kernel_gateway.errors import GatewayError

_RETRY_AFTER_SECONDS = 1.0  # something under way ends within a call's deadline, mostly far sooner


class Flight:
    """Counters that a `with` block holds. Not for several threads: the event loop serialises it."""

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        self.messages = 0
        self.size = 0

    def __repr__(self) -> str:
        return f"<Flight {self.messages} messages, {self.size} bytes>"

    @contextmanager
    def message(self, limit: int) -> Iterator[None]:
        """One more request under way. Raises GatewayError `busy` where `limit` are."""
        if self.messages >= limit:
            raise GatewayError(
                "busy",
                f"{limit} requests of this session are under way; await some first",
                retry_after=_RETRY_AFTER_SECONDS,
            )
        self.messages += 1
        try:
            yield
        finally:
            self.messages -= 1

    @contextmanager
    def transfer(self, size: int, limit: int) -> Iterator[None]:
        """`size` more bytes under way. Raises GatewayError `busy` where they would exceed `limit`."""
        if self.size + size > limit:
            raise GatewayError(
                "busy",
                f"over {limit} bytes of this session's blobs would be under way; await some first",
                retry_after=_RETRY_AFTER_SECONDS,
            )
        self.size += size
        try:
            yield
        finally:
            self.size -= size
