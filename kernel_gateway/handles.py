"""Opaque handles for the links that upstreams give out. In memory only; a link never enters a sandbox."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from kernel_gateway.errors import GatewayError

Direction = Literal["read", "write"]
KEY = "$blob"
MAX_LIFE_SECONDS = 30 * 86_400.0  # whatever a link claims
ID_BYTES = 16  # 128 bits: a session cannot guess what another was given


@dataclass(frozen=True, slots=True)
class BlobHandle:
    """One link, and to whom and what it is bound. repr shows neither the link nor its headers.

    `expires_at` is in seconds since the epoch; `scope` must still be held when it is used; `size` in bytes where known.
    """

    id: str
    url: str = field(repr=False)
    server: str
    organisation: str
    session_id: str
    direction: Direction
    size: int | None
    content_type: str | None
    expires_at: float
    scope: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def public(self) -> dict[str, Any]:
        """What may enter a sandbox."""
        return {
            KEY: {
                "id": self.id,
                "direction": self.direction,
                "size": self.size,
                "content_type": self.content_type,
                "expires_at": datetime.fromtimestamp(self.expires_at, UTC).isoformat().replace("+00:00", "Z"),
            }
        }


class Handles:
    """All handles of this process, by session. `random_token(16)` gives 128 random bits as text."""

    def __init__(
        self,
        clock: Callable[[], float],
        random_token: Callable[[int], str],
        *,
        ttl_seconds: float = 3600.0,
        max_per_session: int = 1000,
    ) -> None:
        self._clock, self._random_token = clock, random_token
        self._ttl_seconds, self._max_per_session = ttl_seconds, max_per_session
        self._sessions: dict[str, OrderedDict[str, BlobHandle]] = {}

    def __repr__(self) -> str:
        return f"<Handles {sum(map(len, self._sessions.values()))} in {len(self._sessions)} sessions>"

    def mint(
        self,
        url: str,
        *,
        server: str,
        organisation: str,
        session_id: str,
        direction: Direction,
        size: int | None = None,
        content_type: str | None = None,
        expires_at: float | None = None,
        headers: Mapping[str, str] | None = None,
        scope: str = "",
    ) -> BlobHandle:
        """A new handle. The session's oldest go where they have expired or there are too many."""
        now = self._clock()
        mine = self._sessions.setdefault(session_id, OrderedDict())
        while mine and (len(mine) >= self._max_per_session or next(iter(mine.values())).expires_at <= now):
            mine.popitem(last=False)
        handle = BlobHandle(
            id=self._random_token(ID_BYTES),
            url=url,
            server=server,
            organisation=organisation,
            session_id=session_id,
            direction=direction,
            size=size,
            content_type=content_type,
            # Within what can be written as a date, whatever the upstream claims.
            expires_at=now + self._ttl_seconds
            if expires_at is None
            else max(0.0, min(expires_at, now + MAX_LIFE_SECONDS)),
            scope=scope,
            headers=dict(headers or {}),
        )
        mine[handle.id] = handle
        return handle

    def look(self, id: str, organisation: str, session_id: str, direction: Direction) -> BlobHandle:  # noqa: A002
        """The handle, unchanged. Raises GatewayError: one answer for unknown, foreign, spent and expired."""
        mine = self._sessions.get(session_id)
        handle = mine.get(id) if mine is not None else None
        if handle is None or handle.organisation != organisation or not self._clock() < handle.expires_at:
            raise GatewayError(
                "not_found", "the blob is unknown, spent or expired; call the operation again for a new one"
            )
        if handle.direction != direction:
            raise GatewayError("invalid", f"this blob is for {_USE[handle.direction]}, not for {_USE[direction]}")
        return handle

    def take(self, id: str, organisation: str, session_id: str, direction: Direction) -> BlobHandle:  # noqa: A002
        """`look`, and a write handle is gone with it. Reads repeat until the handle expires."""
        handle = self.look(id, organisation, session_id, direction)
        if direction == "write":
            del self._sessions[session_id][id]
        return handle

    def give_back(self, handle: BlobHandle) -> None:
        """Undoes a `take` of which it is certain that nothing reached the storage. Of a forgotten session: nothing."""
        if handle.session_id in self._sessions:
            self._sessions[handle.session_id][handle.id] = handle

    def share(self, session_id: str, with_: str) -> None:
        """What one session may read, another may too, from now on by itself. What is to be written stays with one."""
        mine = self._sessions.get(session_id, OrderedDict())
        reads = {id_: each for id_, each in mine.items() if each.direction == "read"}
        self._sessions[with_] = OrderedDict((id_, replace(each, session_id=with_)) for id_, each in reads.items())

    def forget_session(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)


_USE = {"read": "reading", "write": "writing"}
