"""The write-ahead record of every mutation: durable before the upstream is called, so that no death makes it twice.

An effect is known by the key its upstream sees. What a second call with that key gets is decided in effect.py.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    MetaData,
    Row,
    String,
    Table,
    bindparam,
    cast,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.effect import Effect, State, Verdict, verdict
from kernel_gateway.store.database import Database
from kernel_gateway.store.vault import Vault

log = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER = "answer"  # the vault's kind
_AT_ONCE_BYTES = 64 * 1024  # a longer answer is encrypted and written on the database's own thread
_BUSY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Begun:
    """Go on with it: `is_repeat` where it may have been done before. Or, with an `answer`, do not: that is it."""

    is_repeat: bool = False
    answer: bytes | None = None


_metadata = MetaData()
_effects = Table(
    "effects",
    _metadata,
    Column("key", String(64), primary_key=True),
    Column("keyed", Boolean, nullable=False),
    Column("operation", String(136), nullable=False),
    Column("arguments", String(64), nullable=False),
    Column("organisation", String(128), nullable=False),
    Column("session_id", String(64), nullable=False),
    Column("cell_id", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", Float(53), nullable=False, index=True),
)
_by_key = _effects.c.key == bindparam("of")
# Made once: to build and compile a statement takes longer than to run it.
_values: dict[str, Any] = {column.name: bindparam(column.name) for column in _effects.columns}
_insert = insert(_effects).from_select(
    list(_values),
    select(*(cast(value, _effects.c[name].type) for name, value in _values.items())).where(
        ~exists().where(_effects.c.key == bindparam("key"))
    ),
)
_select = select(_effects).where(_by_key)
_replace = update(_effects).where(_by_key).values(_values)
_set_state = update(_effects).where(_by_key).values(state=bindparam("to"))
_set_replied = update(_effects).where(_by_key, _effects.c.state == State.ANSWERED).values(state=State.REPLIED)


class Effects:
    """Rows of all gateways that share the database; answers in the vault. `recover` first. Must be used on one event
    loop. `are_elsewhere(session_id)` says whether it is another gateway's, which lives: its calls go on there."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        clock: Callable[[], float],
        retention_seconds: float,
        are_elsewhere: Callable[[str], bool] = lambda session_id: False,
    ) -> None:
        self._database, self._vault, self._clock = database, vault, clock
        self._retention_seconds, self._are_elsewhere = retention_seconds, are_elsewhere
        self._under_way: dict[str, str] = {}  # argument digests by key
        self._replied: set[str] = set()  # written when a session ends: either way, the answer is kept

    def __repr__(self) -> str:
        return f"<Effects {len(self._under_way)} under way>"

    async def recover(self, alive: Collection[str] = ()) -> list[Effect]:
        """What an earlier life of the gateway left open and may have done. `alive`: the sessions that outlived it.

        The answers of all others are shredded.
        """
        await self._vault.prepare()
        await self._vault.delete_kind(ANSWER, keep=lambda each: each in alive or self._are_elsewhere(each))

        def work(connection: Connection) -> list[Effect]:
            _metadata.create_all(connection)
            self._prune(connection)
            rows = connection.execute(select(_effects).where(_effects.c.state == State.SENT).order_by("at")).all()
            found = [_effect(row) for row in rows if not self._are_elsewhere(row.session_id)]
            for effect in found:
                self._set(connection, effect, State.OUTCOME_UNKNOWN)
            return found

        return await self._database.run(work)

    async def begin(self, effect: Effect) -> Begun:
        """Writes it down, and `end` must follow. Raises GatewayError conflict | busy | outcome_unknown | internal: then
        nothing may be sent."""
        if (arguments := self._under_way.get(effect.key)) is not None:
            if arguments != effect.arguments:
                raise _conflict(effect)
            raise _busy(effect)
        self._under_way[effect.key] = effect.arguments
        try:
            return await self._write(lambda connection: self._begin(connection, effect))
        except BaseException as error:
            self.end(effect)
            if isinstance(error, SQLAlchemyError):
                raise _unwritable() from error
            raise

    async def sent(self, effect: Effect) -> None:
        """Before the first byte goes to an upstream without keys. Raises GatewayError `internal`: then none may go."""
        try:
            await self._write(lambda connection: self._set(connection, effect, State.SENT))
        except SQLAlchemyError as error:
            raise _unwritable() from error

    async def answered(self, effect: Effect, answer: bytes | None) -> None:
        """Done. `answer` is what the cell gets, and gets again; None where the upstream's could not be used."""

        def work(connection: Connection) -> None:
            self._set(connection, effect, State.ANSWERED)
            if answer is not None:
                self._vault.write(connection, effect.session_id, ANSWER, effect.key, answer)

        await self._told(work, is_long=len(answer or b"") > _AT_ONCE_BYTES)
        self._replied.add(effect.key)

    async def refused(self, effect: Effect) -> None:
        """It was not done."""
        await self._told(lambda connection: self._set(connection, effect, State.REFUSED))

    async def unknown(self, effect: Effect) -> None:
        """It may have been done, and nobody will say."""
        await self._told(lambda connection: self._set(connection, effect, State.OUTCOME_UNKNOWN))

    async def done_in(self, session_id: str, cell_id: str) -> list[Effect]:
        """What a cell did within the retention, oldest first."""
        since = self._clock() - self._retention_seconds
        of_cell = (_effects.c.session_id == session_id, _effects.c.cell_id == cell_id, _effects.c.at >= since)
        is_done = _effects.c.state.in_((State.ANSWERED, State.REPLIED))
        statement = select(_effects).where(*of_cell, is_done).order_by(_effects.c.at)
        return await self._database.run(lambda connection: [_effect(row) for row in connection.execute(statement)])

    def end(self, effect: Effect) -> None:
        """It is no longer under way, whatever came of it."""
        self._under_way.pop(effect.key, None)

    async def forget_session(self, session_id: str) -> None:
        """Its answers are shredded. That something was done is remembered for the retention."""
        replied, self._replied = self._replied, set()

        def work(connection: Connection) -> None:
            self._prune(connection)
            if replied:
                connection.execute(_set_replied, [{"of": key} for key in replied])

        await self._write(work)
        await self._vault.delete_session(session_id)

    def _begin(self, connection: Connection, effect: Effect) -> Begun:
        values = {name: getattr(effect, name) for name in Effect.__slots__}
        # whether it was sent decides nothing where it may be sent again: one commit less
        values |= {"state": State.SENT if effect.keyed else State.BEGUN, "at": self._clock()}
        if connection.execute(_insert, values).rowcount:
            return Begun()
        row = connection.execute(_select, {"of": effect.key}).one()
        if row.state == State.BEGUN and self._are_elsewhere(row.session_id):
            raise _busy(effect)
        answer = None
        if row.session_id == effect.session_id:  # another session's answer holds handles that this one cannot use
            answer = self._vault.read(connection, effect.session_id, ANSWER, effect.key)
        match verdict(
            State(row.state),
            keyed=row.keyed and effect.keyed,
            same_arguments=row.arguments == effect.arguments,
            has_answer=answer is not None,
        ):
            case Verdict.REPLAY:
                return Begun(answer=answer)
            case Verdict.CONFLICT:
                raise _conflict(effect)
            case Verdict.UNKNOWN:
                raise GatewayError("outcome_unknown", unknown_message(effect.operation))
            case Verdict.DONE:
                message = f"`{effect.operation}` was done for this request already, and its answer was not kept"
                raise GatewayError("conflict", f"{message}; look at the result before you do it again in a new cell")
            case again:
                connection.execute(_replace, {"of": effect.key, **values})
                return Begun(is_repeat=again is Verdict.SEND_AGAIN)

    def _set(self, connection: Connection, effect: Effect, state: State) -> None:
        connection.execute(_set_state, {"of": effect.key, "to": state})

    async def _told(self, work: Callable[[Connection], None], *, is_long: bool = False) -> None:
        """After the upstream has answered nothing can be taken back: the record of it then says `sent`, which is safe,
        and the journal, which is written to the same database, says what is wrong."""
        try:
            await self._write(work, is_long=is_long)
        except Exception as error:
            log.error("what came of a mutation cannot be written: %s", type(error).__name__)

    async def _write(self, work: Callable[[Connection], T], *, is_long: bool = False) -> T:
        return await (self._database.run if is_long else self._database.promptly)(work)

    def _prune(self, connection: Connection) -> None:
        connection.execute(delete(_effects).where(_effects.c.at < self._clock() - self._retention_seconds))


def unknown_message(operation: str) -> str:
    return f"whether `{operation}` was done is not known; look before you do it again, in a new cell"


def _conflict(effect: Effect) -> GatewayError:
    message = f"this `idempotency_key` of `{effect.operation}` was used with other arguments; take a new one"
    return GatewayError("conflict", message)


def _busy(effect: Effect) -> GatewayError:
    message = f"`{effect.operation}` with this `idempotency_key` is under way; await its answer"
    return GatewayError("busy", message, retry_after=_BUSY_SECONDS)


def _unwritable() -> GatewayError:
    message = (
        "nothing was sent: what is about to be done cannot be written down; the operator must look at the database"
    )
    return GatewayError("internal", message)


def _effect(row: Row[tuple[object, ...]]) -> Effect:
    return Effect(**{name: getattr(row, name) for name in Effect.__slots__})
