"""Which template a kernel comes from: one an organisation, replaced when it is old, much used, idle or outdated.

State alone: every change is synchronous, and what is to be done about it is the pool's.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.launchers import Launcher
from kernel_gateway.kernels.settings import PoolSettings

log = logging.getLogger(__name__)

RETRY_FULL_SECONDS = 30.0  # an organisation that is idle gives its template up within minutes


@dataclass(eq=False, slots=True)
class Source:
    """A launcher, whose template serves one organisation (none yet: ""), and the kernels that came from it."""

    launcher: Launcher
    version: str
    born_at: float
    used_at: float
    organisation: str = ""
    ready: deque[Kernel] = field(default_factory=deque)
    waiting: "deque[asyncio.Future[Kernel]]" = field(default_factory=deque)
    living: set[Kernel] = field(default_factory=set)
    started: int = 0
    starting: int = 0
    retired: bool = False

    def __repr__(self) -> str:
        state = "retired" if self.retired else self.organisation or "nobody's"
        return f"<Source {state}: {len(self.ready)} ready of {len(self.living)}, {self.started} started>"

    @property
    def lent(self) -> int:
        """Kernels that are with sessions, or on their way to one."""
        return len(self.living) - len(self.ready) + self.starting

    def next_ready(self) -> Kernel | None:
        alive = (kernel for kernel in self.ready if not kernel.died.done())
        if (kernel := next(alive, None)) is not None:
            self.ready.remove(kernel)
        return kernel

    def first_waiting(self) -> "asyncio.Future[Kernel] | None":
        while self.waiting:
            if not (waiter := self.waiting.popleft()).done():
                return waiter
        return None


class Sources:
    """`version` names the kernel image as it is now, or nothing while it is being built."""

    def __init__(
        self,
        new_launcher: Callable[[], Launcher],
        settings: PoolSettings,
        clock: Callable[[], float],
        version: Callable[[], str],
    ) -> None:
        self._new_launcher, self._settings, self._clock, self._version = new_launcher, settings, clock, version
        self.all: list[Source] = []
        self._unusable = ""

    def __repr__(self) -> str:
        return f"<Sources {self.all}>"

    def living(self) -> list[Source]:
        return [source for source in self.all if not source.retired]

    def new(self) -> Source:
        """Raises ConfigError where there is no image that can be used."""
        version, now = self._version(), self._clock()
        source = Source(self._new_launcher(), version, now, now)
        self.all.append(source)
        return source

    def of(self, organisation: str, retired: list[Source]) -> Source:
        """Raises GatewayError("limited") where every template is in use by another organisation."""
        for wanted in (organisation, ""):
            for source in self.living():
                if source.organisation == wanted:
                    return source
        self._make_room(retired)
        if len(self.living()) >= self._settings.max_templates:
            message = "too many organisations have kernels at once; try again later"
            raise GatewayError("limited", message, retry_after=RETRY_FULL_SECONDS)
        return self.new()

    def spare(self) -> Source | None:
        """A template that is nobody's yet, for the next new organisation; None where there is one or no room.

        None is wanted before one organisation has followed another.
        """
        living = self.living()
        if len({each.organisation for each in living}) < 2 or any(not source.organisation for source in living):
            return None
        return self.new() if len(living) < self._settings.max_templates else None

    def retire(self) -> list[Source]:
        """What is not to be used any more, from now on. Those in use end with their sessions, and are bounded too."""
        room = self._settings.max_retired_templates - sum(source.retired for source in self.all)
        version = self._new_version()
        found = []
        for source in self.living():
            outdated = bool(version) and source.version != version
            if (outdated or self._is_spent(source)) and (not source.lent or room > 0):
                source.retired = True
                room -= bool(source.lent)
                found.append(source)
        return found

    def _make_room(self, retired: list[Source]) -> None:
        """Gives up the template that was idle for longest, where there is one."""
        idle = [source for source in self.living() if not source.lent]
        if idle and len(self.living()) >= self._settings.max_templates:
            oldest = min(idle, key=lambda source: source.used_at)
            oldest.retired = True
            retired.append(oldest)

    def _new_version(self) -> str:
        """Of the image that is there now, if a template is of another one and this one can be used; else nothing."""
        now = self._version()
        if now == self._unusable or all(source.version == now for source in self.living()):
            return ""
        try:
            self._new_launcher()
        except (ConfigError, GatewayError) as error:
            self._unusable = now
            log.error("the kernel image has changed and cannot be used, so the former one stays in use: %s", error)
            return ""
        return now

    def _is_spent(self, source: Source) -> bool:
        """Old, or used often: siblings share their address layout, so a template is not kept for ever."""
        settings, now = self._settings, self._clock()
        too_old = now - source.born_at > settings.template_seconds
        idle = not source.lent and now - source.used_at > settings.idle_template_seconds
        many = source.started >= settings.max_kernels_per_template
        return bool(source.organisation) and (too_old or many or idle)
