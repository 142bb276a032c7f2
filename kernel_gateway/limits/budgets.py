"""Reserve, then commit or refund: nothing is used that was not there before, and what was not used comes back."""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.exceeded import ExceededError
from kernel_gateway.limits.usage import NOTHING, Tally, Usage, name, number


class Share(Protocol):
    """Of which something can be reserved: the budget of a cell, a session, a fork tree, or somebody's day."""

    def lacking(self, wanted: Usage) -> str:
        """The first unit of which there is not enough at hand, or empty."""

    async def fetch(self, wanted: Usage) -> bool:
        """Tries to have `wanted` at hand; False where there is not that much. Raises GatewayError("disabled")."""

    def take(self, wanted: Usage) -> None: ...

    def give_back(self, rest: Usage) -> None: ...

    def exceeded(self, unit: str) -> ExceededError: ...


class Budget:
    """A tally that may reach `most`, and never comes back: `advice` says what the caller can do."""

    __slots__ = ("_advice", "_most", "_tally", "_whose")

    def __init__(self, tally: Tally, most: Usage, whose: str, advice: str) -> None:
        self._tally, self._most, self._whose, self._advice = tally, most, whose, advice

    def __repr__(self) -> str:
        return f"<Budget of a {self._whose}: {self._tally.used} of {self._most}>"

    def lacking(self, wanted: Usage) -> str:
        return self._tally.used.plus(wanted).beyond(self._most)

    async def fetch(self, wanted: Usage) -> bool:
        """A budget is all there is."""
        return False

    def take(self, wanted: Usage) -> None:
        self._tally.used = self._tally.used.plus(wanted)

    def give_back(self, rest: Usage) -> None:
        self._tally.used = self._tally.used.minus(rest)

    def exceeded(self, unit: str) -> ExceededError:
        used, most = getattr(self._tally.used, unit), getattr(self._most, unit)
        return ExceededError(
            f"this {self._whose} has used {number(unit, used)} of its {number(unit, most)} {name(unit)}, "
            f"and this needs more than is left; {self._advice}",
            policy=f"{name(unit)}-per-{self._whose.replace(' ', '-')}",
            quota=most,
        )


class Reservation:
    """Of all shares or of none. Entered as a context: at its end all of it counts, for what nobody knows counts in
    full; nothing counts where an anticipated error ends it before anything was sent."""

    def __init__(self, shares: Sequence[Share], reserved: Usage) -> None:
        self._shares, self.reserved, self._open = shares, reserved, True

    def commit(self, used: Usage | None = None) -> None:
        """`used` instead of what was reserved. Settled once; later calls change nothing."""
        if self._open:
            self._open = False
            rest = NOTHING if used is None else self.reserved.minus(used)
            if rest != NOTHING:
                for share in self._shares:
                    share.give_back(rest)

    def refund(self) -> None:
        self.commit(NOTHING)

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, GatewayError) and not getattr(error, "sent", False):
            self.refund()
        else:
            self.commit()


async def reserve(shares: Sequence[Share], wanted: Usage) -> Reservation:
    """Raises ExceededError for the first share that lacks something, and GatewayError("disabled")."""
    while True:
        for share in shares:
            if unit := share.lacking(wanted):
                if not await share.fetch(wanted):
                    raise share.exceeded(unit)
                break  # others ran meanwhile: look at all of them again
        else:
            for share in shares:
                share.take(wanted)
            return Reservation(shares, wanted)
