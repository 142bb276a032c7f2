"""A mutation happens once: its key, its record before it is sent, and what came of it."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

from catalog import Operation
from catalog.operation import Idempotency
from kernel_gateway.broker.cell import Cell
from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.effect import Effect
from kernel_gateway.limits.effects import Effects, unknown_message
from kernel_gateway.limits.idempotency import argument_digest, derived_key, upstream_key
from kernel_gateway.upstreams.base import UpstreamAnswer, UpstreamError

_KEY_HEADER = "idempotency-key"

Send = Callable[[Mapping[str, Any], str | None, bool], Awaitable[UpstreamAnswer]]  # arguments, key, is it a repeat
Read = Callable[[UpstreamAnswer], Any]  # the sealed value; raises GatewayError where the answer cannot be used


class Mutations:
    def __init__(self, effects: Effects | None, secret: bytes) -> None:
        self._effects, self._secret = effects, secret

    async def once(
        self, operation: Operation, arguments: Mapping[str, Any], cell: Cell, send: Send, read: Read
    ) -> tuple[Any, bool]:
        """The sealed value, and whether it was an earlier call's. Raises GatewayError.

        A call that failed gives its ordinal back: made again in its cell, it carries the same key.
        """
        if self._effects is None:
            raise GatewayError("disabled", f"`{operation.id}` changes something, and nothing can be written down here")
        given, arguments = split_key(operation, arguments)
        digest = argument_digest(self._secret, operation.id, arguments)
        if given is not None:
            return await self._perform(self._effects, operation, arguments, digest, given, cell, send, read)
        ordinal = cell.ordinals.take(operation.id, digest)
        key = derived_key(self._secret, cell.keyed_by, operation.id, digest, ordinal)
        try:
            return await self._perform(self._effects, operation, arguments, digest, key, cell, send, read)
        except BaseException:
            cell.ordinals.give_back(operation.id, digest, ordinal)
            raise

    async def _perform(
        self,
        effects: Effects,
        operation: Operation,
        arguments: Mapping[str, Any],
        digest: str,
        key: str,
        cell: Cell,
        send: Send,
        read: Read,
    ) -> tuple[Any, bool]:
        principal = cell.principal
        effect = Effect(
            key=upstream_key(self._secret, principal.organisation, principal.identity, operation.id, key),
            keyed=operation.idempotency is not Idempotency.NONE,
            operation=operation.id,
            arguments=digest,
            organisation=principal.organisation,
            session_id=cell.session_id,
            cell_id=cell.cell_id,
        )
        begun = await effects.begin(effect)
        try:
            if begun.answer is not None:
                return json.loads(begun.answer), True
            if not effect.keyed:
                await effects.sent(effect)
            try:
                answer = await send(arguments, effect.key if effect.keyed else None, begun.is_repeat)
            except UpstreamError as error:
                await _failed(effects, effect, error)
            try:
                value = read(answer)
            except GatewayError:
                await effects.answered(effect, None)
                raise
            await effects.answered(effect, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
            return value, answer.replayed
        finally:
            effects.end(effect)


async def _failed(effects: Effects, effect: Effect, error: UpstreamError) -> NoReturn:
    """Writes down what is known, and raises UpstreamError: `outcome_unknown` where the upstream takes no keys and may
    have done it."""
    code, message, retry_after = error.code, error.message, error.retry_after
    if 200 <= error.http_status < 300:
        await effects.answered(effect, None)  # done, said in a way that cannot be used
    elif not error.perhaps_done:
        await effects.refused(effect)
    elif effect.keyed:
        message += "; made again in this cell, or with its `idempotency_key`, the same call is done at most once"
    else:
        await effects.unknown(effect)
        code, message, retry_after = "outcome_unknown", f"{unknown_message(effect.operation)} ({message})", None
    raise UpstreamError(
        code, message, retry_after=retry_after, http_status=error.http_status, sent=error.sent
    ) from error


def split_key(operation: Operation, arguments: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any]]:
    """The caller's idempotency key, if any, and the arguments without it."""
    headers = (each for each in operation.parameters if each.where == "header")
    name = next((each.name for each in headers if each.wire_name.lower() == _KEY_HEADER), "")
    given = arguments.get(name)
    rest = {each: value for each, value in arguments.items() if each != name}
    return given if isinstance(given, str) else None, rest
