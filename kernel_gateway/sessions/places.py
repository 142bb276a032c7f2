"""The places for sessions: so many in all, so many for each caller, and whose each one is. Records nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

from kernel_gateway.auth.principal import Principal
from kernel_gateway.limits.exceeded import ExceededError
from kernel_gateway.sessions.services import Services
from kernel_gateway.sessions.session import Session
from kernel_gateway.sessions.settings import SessionSettings

RETRY_SECONDS = 5.0  # most cells take less
Rest = Callable[[Session, str], Awaitable[bool]]
"""Has a session hibernate, for a reason; False where it cannot."""
_MAX_CLOSED = 10_000  # ids of closed sessions whose owner may still read their transcript


class Places:
    """Open sessions by id, in the order of their opening. Another's session is none."""

    def __init__(self, services: Services, settings: SessionSettings) -> None:
        self._services, self._settings = services, settings
        self._open: dict[str, Session] = {}
        self._closed: dict[str, tuple[str, str, str, str]] = {}
        self._starting: set[str] = set()

    def __repr__(self) -> str:
        return f"<Places {len(self)} taken of {self._settings.max_sessions}>"

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Session]:
        """Those that are open now: they may close meanwhile."""
        return iter(list(self._open.values()))

    def of(self, principal: Principal) -> list[Session]:
        return [session for session in self._open.values() if session.owner.identity == principal.identity]

    def get(self, session_id: str) -> Session | None:
        """Whoever's it is."""
        return self._open.get(session_id)

    def find(self, principal: Principal, session_id: str) -> Session | None:
        session = self._open.get(session_id)
        return session if session is not None and session.owner.identity == principal.identity else None

    def had(self, principal: Principal, session_id: str) -> bool:
        """Whether it was the caller's, and closed not long ago."""
        return self._closed.get(session_id) == principal.identity

    def open(self, principal: Principal, services: Services | None = None) -> Session:
        """With `services` of its own, or those of all. Raises ExceededError where there is no place."""
        self.require(principal)
        session = Session(self._services.new_id("ses"), principal, services or self._services, self._settings)
        self.take(session)
        return session

    def require(self, principal: Principal) -> None:
        """Raises ExceededError where there is no place for one more."""
        mine = self.of(principal)
        if len(mine) >= self._settings.max_sessions_per_principal:
            first = min(mine, key=lambda session: session.used_at)
            message = f"you have {len(mine)} open sessions; go on in one with `session_id`, such as `{first.id}`"
            raise ExceededError(
                f"{message}, or DELETE /v1/sessions/ID",
                policy="sessions-per-token",
                quota=self._settings.max_sessions_per_principal,
                retry_after=self._expires_in(first),
            )
        if len(self._open) >= self._settings.max_sessions:
            raise ExceededError(
                "every place for a session is taken; try again later",
                policy="sessions",
                quota=self._settings.max_sessions,
                retry_after=self._expires_in(min(self._open.values(), key=lambda session: session.used_at)),
            )

    @asynccontextmanager
    async def room(self, rest: Rest, session: Session) -> AsyncIterator[None]:
        """Room for its kernel, for as long as the context: whoever was idle longest comes to `rest` for it.

        Raises ExceededError where nobody is idle.
        """
        self._starting.add(session.id)
        try:
            if not session.seat.is_taken:
                mine = [each for each in self.of(session.owner) if self._has_room(each)]
                settings = self._settings
                await self._make_room(rest, mine, settings.max_kernels_per_principal, "kernels-per-token", session)
                everybody = [each for each in self._open.values() if self._has_room(each)]
                await self._make_room(rest, everybody, settings.max_kernels, "kernels", session)
            yield
        finally:
            self._starting.discard(session.id)

    def _has_room(self, session: Session) -> bool:
        return session.seat.is_taken or session.id in self._starting

    async def _make_room(self, rest: Rest, holders: list[Session], most: int, policy: str, wanted_by: Session) -> None:
        idle = sorted((each for each in holders if each is not wanted_by), key=lambda session: session.used_at)
        surplus = len(holders) - most
        for each in idle:
            if surplus <= 0:
                return
            surplus -= await rest(each, "room")
        if surplus > 0:
            message = "every kernel there may be is at work; try again when a cell has ended"
            raise ExceededError(message, policy=policy, quota=most, retry_after=RETRY_SECONDS)

    def take(self, session: Session) -> None:
        """Also for one that had its place before a restart."""
        self._open.setdefault(session.id, session)

    def give_back(self, session: Session) -> bool:
        """False where somebody else has done so."""
        if self._open.pop(session.id, None) is None:
            return False
        self._closed[session.id] = session.owner.identity
        while len(self._closed) > _MAX_CLOSED:
            del self._closed[next(iter(self._closed))]
        return True

    def _expires_in(self, session: Session) -> float:
        """Seconds until a session gives up its place, if nobody uses it."""
        return max(1.0, round(session.used_at + self._settings.ttl_seconds - self._services.clock()))
