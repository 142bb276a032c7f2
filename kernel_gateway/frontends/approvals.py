"""`/v1/approvals`: what waits for a person who approves for others, and that person's answer."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from kernel_gateway.approvals.pending import Pending, moment
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.frontends.handler import Door, Handler
from kernel_gateway.policy.review import escaped

APPROVALS = r"/v1/approvals"
APPROVAL = rf"{APPROVALS}/([A-Za-z0-9_-]{{1,64}})"
_DECISIONS = {"approve": True, "deny": False}
_SAYS = 'send `{"decision": "approve"}` or `{"decision": "deny"}` as JSON'


class Approvals(Protocol):
    """The part of the gateway behind these routes."""

    async def approvals(self, principal: Principal) -> list[Pending]: ...

    async def decide_approval(self, principal: Principal, approval_id: str, /, *, approve: bool) -> Pending: ...


class ApprovalHandler(Handler):
    gateway: Approvals

    def initialize(self, door: Door, gateway: Approvals) -> None:  # type: ignore[override]
        super().initialize(door)
        self.gateway = gateway


class ApprovalList(ApprovalHandler):
    route = "/v1/approvals"
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"GET": ("kernel.approve",)}

    async def get(self) -> None:
        self.reply({"approvals": [shown(each) for each in await self.gateway.approvals(self.principal)]})


class ApprovalItem(ApprovalHandler):
    route = "/v1/approvals/{id}"
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"POST": ("kernel.approve",)}

    async def post(self, approval_id: str) -> None:
        decided = await self.gateway.decide_approval(self.principal, approval_id, approve=_decision(self.request.body))
        self.reply({"id": decided.id, "verdict": decided.verdict})


def shown(pending: Pending) -> dict[str, Any]:
    """What the person reads. `question` is ours; `code` is the agent's, all of it: what could hide is escaped."""
    return {
        "id": pending.id,
        "kind": pending.kind,
        "session_id": pending.terms.session,
        "asker": {"subject": pending.asker.subject, "client": pending.asker.client},
        "risk": pending.risk,
        "operations": list(pending.operations),
        "question": pending.question,
        "code": escaped(pending.terms.text),
        "asked_at": moment(pending.issued_at),
        "expires_at": moment(pending.expires_at),
    }


def _decision(body: bytes) -> bool:
    """Raises GatewayError invalid: what is not understood is neither."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise GatewayError("invalid", f"the body is not JSON; {_SAYS}") from None
    decision = said.get("decision") if isinstance(said, dict) and said.keys() == {"decision"} else None
    if not isinstance(decision, str) or decision not in _DECISIONS:
        raise GatewayError("invalid", f"the decision is missing or unknown; {_SAYS}")
    return _DECISIONS[decision]


def routes(door: Door, gateway: Approvals) -> list[tuple[str, type[ApprovalHandler], dict[str, Any]]]:
    arguments = {"door": door, "gateway": gateway}
    return [
        (APPROVALS, ApprovalList, arguments),
        (APPROVAL, ApprovalItem, arguments),
    ]
