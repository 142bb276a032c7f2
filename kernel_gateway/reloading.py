"""Policies that change while the service runs: what is on disk is looked at, checked, and in force or refused."""

import asyncio
import logging
from collections.abc import Callable

from kernel_gateway.audit.events import Event, PolicyRefused, PolicyReloaded
from kernel_gateway.crash import places
from kernel_gateway.errors import ConfigError
from kernel_gateway.policy.policies import Policies, Source
from kernel_gateway.policy.rules import PolicyError
from kernel_gateway.policy.settings import PolicySettings

log = logging.getLogger(__name__)


class Reloader:
    """`settings` reads the `[policy]` section as it is written now; it raises ConfigError where it cannot be used."""

    def __init__(
        self,
        policies: Policies,
        settings: Callable[[], PolicySettings],
        record: Callable[[Event], None],
        clock: Callable[[], float],
    ) -> None:
        self._policies, self._settings = policies, settings
        self._record, self._clock = record, clock
        # The digest of what was found, or the complaint where it could not be read: last dealt with, last looked at.
        self._seen = self._last = policies.source.digest
        self._is_refused = False

    def __repr__(self) -> str:
        return f"<Reloader of {self._policies!r}{', the newest refused' if self._is_refused else ''}>"

    def notices(self) -> list[str]:
        """For whoever looks after the service, without a word of the policy itself."""
        return ["the policy on disk is refused; the one before it is in force"] if self._is_refused else []

    async def watch(self) -> None:
        """Looks every `policy.reload_seconds`, in a thread, until it is cancelled."""
        while True:
            await asyncio.sleep(self._policies.source.settings.reload_seconds)
            try:
                if (event := await asyncio.to_thread(self.look)) is not None:
                    self._record(event)
            except Exception as error:  # the next look may go well, and there must be one
                log.error("looking at the policy on disk failed: %s", places(error))

    def look(self) -> Event | None:
        """What came of a change, where there is one that was already there at the last look.

        A file that is being written may be read half: without its end it may well be a set that permits more.
        """
        found = self._found()
        key = found.digest if isinstance(found, Source) else str(found)
        is_settled, self._last = key == self._last, key
        if key == self._seen or not is_settled:
            return None
        self._seen = key
        return self._used(found) if isinstance(found, Source) else self._refused(found)

    def _found(self) -> Source | ConfigError:
        try:
            return Source.read(self._settings())
        except ConfigError as error:
            return error

    def _used(self, source: Source) -> Event:
        try:
            self._policies.use(source)
        except PolicyError as error:
            return self._refused(error)
        self._is_refused = False
        rules, rollout = len(self._policies.current.rules.rules), source.settings.rollout
        log.warning("the policy was read again: %d rules, rollout %s", rules, rollout)
        return PolicyReloaded(at=self._clock(), policy=self._policies.digest, rollout=rollout, rules=rules)

    def _refused(self, error: ConfigError) -> Event:
        self._is_refused = True
        log.error("the policy on disk is refused, the one before it stays in force: %s", error)
        return PolicyRefused(at=self._clock(), policy=self._policies.digest)
