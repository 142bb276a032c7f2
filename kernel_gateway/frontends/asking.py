"""Puts an approval's question to the caller's own user, in the form that the protocol revision of the client has.

Since 2026-07-28 a server never calls its client: the call is answered with the question and a state sealed by the SDK
(bound to the arguments, the caller and a time), and comes again with both. Before, the client is asked in the middle;
so it is where the call was answered with a task, through that.
"""

import asyncio
import json
from typing import Any

from mcp.server.mcpserver import Context, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import BaseModel, Field

from kernel_gateway.approvals.pending import Pending
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.task import current_task
from kernel_gateway.sessions.result import Answer

_KEY = "approval"
_SEALED_SECONDS = 24 * 3600.0  # longer than any question to a user is open: its own end is the one that counts


class Form(BaseModel):
    """One box to tick: whoever submits the form without it has not approved."""

    approve: bool = Field(title="Approve", description="Tick to let it happen; leave empty to deny.")


def sealing(key: bytes) -> RequestStateSecurity:
    return RequestStateSecurity(keys=[key], ttl=_SEALED_SECONDS)


def can_ask(context: Context[Any, Any]) -> bool:
    """Whether the client said that it shows forms to its user."""
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def asks_in_answers(context: Context[Any, Any]) -> bool:
    task = current_task()
    is_answered = task is not None and task.announced_at is not None
    return context.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS and not is_answered


def question(pending: Pending) -> InputRequiredResult:
    """The answer of a call that has to come again, with what the user said."""
    state = json.dumps({_KEY: pending.id})
    return InputRequiredResult(input_requests={_KEY: ElicitRequest(params=_form(pending))}, request_state=state)


def answer_in(context: Context[Any, Any]) -> Answer | None:
    """What a call that came again brings; None for a first one. The SDK has opened the seal. Raises GatewayError."""
    if context.request_state is None:
        return None
    said = (context.input_responses or {}).get(_KEY)
    if not isinstance(said, ElicitResult):
        raise GatewayError("invalid", "the answer to the question is missing; ask the user and send the call again")
    return Answer(json.loads(context.request_state)[_KEY], _is_yes(said))


async def ask_now(context: Context[Any, Any], pending: Pending, seconds: float) -> Answer:
    """Asks within the running call. Whoever says nothing in time, closes the form, or cannot be asked, has not."""
    try:
        async with asyncio.timeout(seconds):
            said = await _asked(context, _form(pending))
    except (TimeoutError, MCPError):
        return Answer(pending.id, False)
    return Answer(pending.id, _is_yes(said))


async def _asked(context: Context[Any, Any], form: ElicitRequestFormParams) -> ElicitResult:
    if (task := current_task()) is not None:
        return await task.ask(ElicitRequest(params=form))
    said: ElicitResult = await context.session.elicit_form(
        message=form.message, requested_schema=form.requested_schema, related_request_id=context.request_id
    )
    return said


def _form(pending: Pending) -> ElicitRequestFormParams:
    return ElicitRequestFormParams(message=pending.question, requested_schema=Form.model_json_schema())


def _is_yes(said: ElicitResult) -> bool:
    return said.action == "accept" and said.content == {"approve": True}
