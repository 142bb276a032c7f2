"""How often a caller may come to a door, in windows that move with the clock; several for each kind of request.

Fails closed: a store that does not answer, or not in time, admits nobody.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Any, cast

from limits.aio.storage import RedisStorage
from limits.errors import ConfigurationError, StorageError

from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.limits.exceeded import ExceededError
from kernel_gateway.limits.rate import WHOM, Rate, bucket, parse_rate
from kernel_gateway.limits.settings import MEMORY, RateSettings
from kernel_gateway.limits.windows import MemoryWindows, Windows

log = logging.getLogger(__name__)

CALL = "call"  # of an operation, which also has rates of its own
_MIN_RETRY_SECONDS = 1.0
_MAX_PLANS = 4096  # kinds and operations whose rates are kept in order; others are put in order when asked for


class Rates:
    """`store` is "memory" or a Redis URL. Raises ConfigError. `clock` is in seconds since the epoch.

    `per_minute(kind)` is what a caller is held to at the moment, besides the settings; None where it is nothing more.
    """

    def __init__(
        self,
        settings: RateSettings,
        store: str,
        clock: Callable[[], float],
        *,
        store_timeout_seconds: float = 1.0,
        per_minute: Callable[[str], int | None] = lambda kind: None,
    ) -> None:
        self._settings, self._clock, self._per_minute = settings, clock, per_minute
        self._redis = None if store == MEMORY else _redis(store)
        self._windows: Windows = self._redis or MemoryWindows(clock)
        self._patience = store_timeout_seconds if self._redis else None
        self._failed = False
        self._plans: dict[tuple[str, str, int | None], tuple[tuple[str, Rate], ...]] = {}

    def __repr__(self) -> str:
        return f"<Rates in {'Redis' if self._redis else 'memory'}>"

    async def admit(self, kind: str, principal: Principal, operation: str = "") -> None:
        """`kind` is request, execute, search or call. Raises ExceededError and GatewayError("disabled").

        The narrowest allowance is asked first, and the first refusal ends it: who is over their own takes nothing from
        what others share with them.
        """
        most = self._per_minute(kind)
        plan = self._plans.get((kind, operation, most)) or self._plan(kind, operation, most)
        try:
            async with asyncio.timeout(self._patience):
                for counted, rate in plan:
                    key = bucket(rate, counted, principal)
                    if not await self._windows.acquire_entry(key, rate.count, rate.seconds):
                        raise await self._exceeded(counted, rate, key)
            self._failed = False
        except (StorageError, OSError, TimeoutError) as error:
            if not self._failed:  # once, and not for each of those who try
                log.error("the rates cannot be counted: %s", type(error).__name__)
            self._failed = True
            message = "the rates cannot be counted, so nothing is allowed; tell an operator"
            raise GatewayError("disabled", message) from None

    async def _exceeded(self, counted: str, rate: Rate, key: str) -> ExceededError:
        oldest, _ = await self._windows.get_moving_window(key, rate.count, rate.seconds)
        wait = max(_MIN_RETRY_SECONDS, math.ceil(oldest + rate.seconds - self._clock()))
        kind = counted.partition(" ")[0]
        what = f"calls of `{counted.partition(' ')[2]}`" if kind == "operation" else _PLURALS[kind]
        return ExceededError(
            f"{what} are limited to {rate.text}; wait before the next one",
            policy=f"{kind}-per-{rate.whom}",
            quota=rate.count,
            window_seconds=rate.seconds,
            retry_after=wait,
        )

    def _plan(self, kind: str, operation: str, most: int | None) -> tuple[tuple[str, Rate], ...]:
        """What is counted for such a request, the narrowest first."""
        settings = self._settings
        lines = [(kind, text) for text in getattr(settings, kind)]
        if most is not None:
            lines.insert(0, (kind, f"{most}/minute per token"))
        if kind == CALL:
            own = settings.operations.get(operation, settings.operation)
            lines += [(f"operation {operation}", text) for text in own]
        plan = sorted(
            ((counted, parse_rate(text)) for counted, text in lines), key=lambda each: WHOM.index(each[1].whom)
        )
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        self._plans[kind, operation, most] = tuple(plan)
        return self._plans[kind, operation, most]

    async def close(self) -> None:
        if self._redis is not None:
            client = cast(Any, self._redis.bridge).get_connection()  # the library has no way to close it
            await client.aclose()


_PLURALS = {"request": "requests", "execute": "cells", "search": "searches", CALL: "calls"}


def _redis(url: str) -> RedisStorage:
    try:
        return RedisStorage(f"async+{url}", wrap_exceptions=True, implementation="redispy")
    except ConfigurationError:
        raise ConfigError("`limits.store` is a Redis URL; install agent-kernel-gateway[redis]") from None
    except ValueError:
        # the text may hold a password, so the message does not repeat it
        raise ConfigError("`limits.store` cannot be read; write `memory` or `redis://host:6379/0`") from None
