"""What a caller and an organisation may use in a day (UTC), counted in the database.

A gateway takes a hundredth of a day's quota at once and hands it out from memory, so that most calls cost no
transaction. What it took counts as used from that moment: gateways that share a database never give out more than the
quota between them, and one that is killed at any instant leaves at most that hundredth counted and unused, until the
day ends. One that ends in order gives the rest back.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterable

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.exceeded import ExceededError
from kernel_gateway.limits.usage import NOTHING, Usage, name, number
from kernel_gateway.store.database import Database

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400
PARTS = 100  # of a day's quota; one is taken at once
_KEPT_DAYS = 1  # before today: a gateway whose clock is late still finds its row

_metadata = MetaData()
_quotas = Table(
    "quotas",
    _metadata,
    Column("subject", String(64), primary_key=True),  # a digest: the table names nobody
    Column("day", Integer, primary_key=True, autoincrement=False),  # since 1970-01-01
    *(Column(unit, BigInteger, nullable=False) for unit in Usage._fields),
)
_COUNTS = tuple(_quotas.c[unit] for unit in Usage._fields)


class Quotas:
    """One for all sessions of a gateway. Must be used on one event loop."""

    def __init__(
        self, database: Database, clock: Callable[[], float], *, principal: Usage, organisation: Usage
    ) -> None:
        self._database, self._clock = database, clock
        self._principal, self._organisation = principal, organisation
        self._days: dict[tuple[str, ...], Day] = {}
        self._today = 0
        self._has_table = self._closed = False
        self._fetches: set[asyncio.Future[bool]] = set()

    def __repr__(self) -> str:
        return f"<Quotas of {len(self._days)} on day {self._today}{' closed' if self._closed else ''}>"

    def of(self, principal: Principal) -> tuple["Day", "Day"]:
        """The caller's day, and its organisation's."""
        today = int(self._clock() // DAY_SECONDS)
        if today != self._today:
            self._today, self._days = today, {}
        return (
            self._day("principal", principal.identity, self._principal, "you"),
            self._day("organisation", (principal.organisation,), self._organisation, "your organisation"),
        )

    def _day(self, kind: str, names: tuple[str, ...], most: Usage, whose: str) -> "Day":
        if (day := self._days.get(names)) is None:
            subject = hashlib.sha256(json.dumps([kind, *names]).encode()).hexdigest()
            day = self._days[names] = Day(self, subject, self._today, most, kind, whose)
        return day

    def seconds_left(self) -> float:
        """Of the day."""
        return DAY_SECONDS - self._clock() % DAY_SECONDS

    async def fetch(self, day: "Day", wanted: Usage) -> bool:
        """To its own end, also where whoever asked for it gives up: nothing that was taken gets lost."""
        fetch = asyncio.ensure_future(self._fetch(day, wanted))
        self._fetches.add(fetch)
        fetch.add_done_callback(self._fetches.discard)
        try:
            return await asyncio.shield(fetch)
        except asyncio.CancelledError:
            fetch.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    async def _fetch(self, day: "Day", wanted: Usage) -> bool:
        async with day.lock:  # of many who ask at once, the first takes for all
            if not day.lacking(wanted):
                return True
            if self._closed:
                raise GatewayError("disabled", "the gateway is shutting down; try again when it is back")
            missing = Usage(*(max(0, most - left) for most, left in zip(wanted, day.left, strict=True)))
            try:
                taken = await self._database.run(lambda connection: self._take(connection, day, missing))
            except IntegrityError:
                return True  # another gateway made the row meanwhile: the next look finds it
            except (SQLAlchemyError, OSError, RuntimeError) as error:
                log.error("the quotas cannot be read or written: %s", type(error).__name__)
                message = "the quotas cannot be read or written, so nothing is allowed; tell an operator"
                raise GatewayError("disabled", message) from None
            self._has_table = True
            day.left = day.left.plus(taken)
            return taken != NOTHING

    def _take(self, connection: Connection, day: "Day", missing: Usage) -> Usage:
        """What is missing and a part of the quota, as far as there is any; nothing where there is not enough."""
        if not self._has_table:
            _metadata.create_all(connection)
        found = connection.execute(select(*_COUNTS).where(day.row()).with_for_update()).one_or_none()
        used = Usage(*found) if found else NOTHING
        remaining = day.most.minus(used)
        if any(0 < least > rest for least, rest in zip(missing, remaining, strict=True)):
            return NOTHING
        taken = Usage(
            *(
                min(max(least, most // PARTS), rest) if least else 0
                for least, most, rest in zip(missing, day.most, remaining, strict=True)
            )
        )
        total = used.plus(taken)._asdict()
        if found:
            connection.execute(update(_quotas).where(day.row()).values(total))
        else:
            connection.execute(delete(_quotas).where(_quotas.c.day < day.day - _KEPT_DAYS))
            connection.execute(insert(_quotas).values(subject=day.subject, day=day.day, **total))
        return taken

    async def close(self) -> None:
        """Gives back what nobody used. The database stays open."""
        self._closed = True
        await asyncio.gather(*self._fetches, return_exceptions=True)
        unused = [day for day in self._days.values() if day.left != NOTHING]
        if unused:
            await self._database.run(lambda connection: _give_back(connection, unused))
            for day in unused:
                day.left = NOTHING


class Day:
    """One subject's quota of one day, as far as this gateway has it at hand."""

    def __init__(self, quotas: Quotas, subject: str, day: int, most: Usage, kind: str, whose: str) -> None:
        self._quotas, self._kind, self._whose = quotas, kind, whose
        self.subject, self.day, self.most, self.left = subject, day, most, NOTHING
        self.lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Day {self.day} of {self._kind} {self.subject[:8]}: {self.left} at hand>"

    def row(self) -> ColumnElement[bool]:
        return (_quotas.c.subject == self.subject) & (_quotas.c.day == self.day)

    def lacking(self, wanted: Usage) -> str:
        return wanted.beyond(self.left)

    async def fetch(self, wanted: Usage) -> bool:
        return await self._quotas.fetch(self, wanted)

    def take(self, wanted: Usage) -> None:
        self.left = self.left.minus(wanted)

    def give_back(self, rest: Usage) -> None:
        self.left = self.left.plus(rest)

    def exceeded(self, unit: str) -> ExceededError:
        most = getattr(self.most, unit)
        return ExceededError(
            f"{self._whose} may use {number(unit, most)} {name(unit)} a day, and this needs more than is left; "
            "go on after midnight UTC",
            policy=f"{name(unit)}-per-{self._kind}",
            quota=most,
            window_seconds=DAY_SECONDS,
            retry_after=self._quotas.seconds_left(),
        )


def _give_back(connection: Connection, days: Iterable[Day]) -> None:
    for day in days:
        rest = {unit: _quotas.c[unit] - getattr(day.left, unit) for unit in Usage._fields}
        connection.execute(update(_quotas).where(day.row()).values(rest))
