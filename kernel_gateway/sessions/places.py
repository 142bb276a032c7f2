"""The places for sessions: so many in all, so many for each caller, and whose each one is. Records nothing."""

from collections.abc import Iterator

from kernel_gateway.auth.principal import Principal
from kernel_gateway.limits.exceeded import ExceededError
from kernel_gateway.sessions.session import Services, Session
from kernel_gateway.sessions.settings import SessionSettings

_MAX_CLOSED = 10_000  # ids of closed sessions whose owner may still read their transcript


class Places:
    """Open sessions by id, in the order of their opening. Another's session is none."""

    def __init__(self, services: Services, settings: SessionSettings) -> None:
        self._services, self._settings = services, settings
        self._open: dict[str, Session] = {}
        self._closed: dict[str, tuple[str, str, str, str]] = {}

    def __repr__(self) -> str:
        return f"<Places {len(self)} taken of {self._settings.max_sessions}>"

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Session]:
        """Those that are open now: they may close meanwhile."""
        return iter(list(self._open.values()))

    def of(self, principal: Principal) -> list[Session]:
        return [session for session in self._open.values() if session.owner.identity == principal.identity]

    def find(self, principal: Principal, session_id: str) -> Session | None:
        session = self._open.get(session_id)
        return session if session is not None and session.owner.identity == principal.identity else None

    def had(self, principal: Principal, session_id: str) -> bool:
        """Whether it was the caller's, and closed not long ago."""
        return self._closed.get(session_id) == principal.identity

    def open(self, principal: Principal, services: Services | None = None) -> Session:
        """With `services` of its own, or those of all. Raises ExceededError where there is no place."""
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
        session = Session(self._services.new_id("ses"), principal, services or self._services, self._settings)
        self.take(session)
        return session

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
        """Seconds until an idle session gives up its place, if nobody uses it."""
        return max(1.0, round(session.used_at + self._settings.idle_seconds - self._services.clock()))
