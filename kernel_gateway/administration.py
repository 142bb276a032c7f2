"""What an operator does with a running gateway, whoever owns the sessions: the kill switch, and seeing what runs.

Every verb needs `kernel.admin`. Nothing here is stopped by the switch.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from catalog import Catalog
from kernel_gateway.audit.events import SwitchSet
from kernel_gateway.audit.journal import Journal
from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError
from kernel_gateway.explaining import Asked, Explainer
from kernel_gateway.gateway import Gateway
from kernel_gateway.limits.switch import Switch
from kernel_gateway.limits.switch_file import Part
from kernel_gateway.policy.request import Authorizer, Context, Request
from kernel_gateway.sessions.ancestry import history
from kernel_gateway.sessions.session import Session
from kernel_gateway.sessions.summary import summary

SCOPE = "kernel.admin"
FRONT_ENDS = ("mcp", "stdio", "rest")  # what `Principal.front_end` can be, where cells come from


class Administration:
    """`catalog` and the explainer's roles say what has a name. Stops the sessions of whatever is switched off, here or
    by another gateway on the same state folder."""

    def __init__(
        self,
        gateway: Gateway,
        catalog: Catalog,
        explainer: Explainer,
        notices: Callable[[], list[str]],
        authorizer: Authorizer,
        switch: Switch,
        journal: Journal,
        clock: Callable[[], float],
        grace_seconds: float,
    ) -> None:
        self._gateway, self._catalog = gateway, catalog
        self._explainer, self._notices = explainer, notices
        self._authorizer, self._journal = authorizer, journal
        self._switch, self._clock, self._grace_seconds = switch, clock, grace_seconds
        self._halting: dict[Session, asyncio.Task[None]] = {}
        self._switch.subscribe(self._halt)

    def __repr__(self) -> str:
        return f"<Administration of {self._gateway!r}, {self._switch!r}>"

    def refusal(self) -> str:
        """Why nothing runs at all; "" where something can. For whoever starts the service."""
        return self._switch.refuses()

    async def switch(self, principal: Principal) -> dict[str, Any]:
        """{"execute": "on" or "off", "off": [{"part", "name", "reason", "by", "at"}]}: what is off besides all, too."""
        self._decide(principal)
        return _state(self._switch)

    async def set_switch(
        self, principal: Principal, part: Part, name: str = "", *, off: bool, reason: str = ""
    ) -> dict[str, Any]:
        """As `switch`, once it holds, is journalled, and the processes of what is off are gone. Raises GatewayError."""
        self._decide(principal)
        if off:
            self._check(part, name)
            self._switch.check(part, name, reason)
        event = SwitchSet(
            at=self._clock(),
            organisation=principal.organisation,
            subject=principal.subject,
            client=principal.client,
            part=part,
            name=name,
            is_off=off,
            reason_length=len(reason),
        )
        if off:
            try:
                await self._switch.switch_off(part, name, reason=reason, by=principal.subject)
            finally:
                self._journal.record(event)
        else:
            self._journal.record(event)
            await self._journal.flush()  # nothing is switched on that is not written down
            await self._switch.switch_on(part, name)
        await asyncio.gather(*self._halting.values(), return_exceptions=True)
        await self._journal.flush()
        return _state(self._switch)

    async def policy(self, principal: Principal) -> dict[str, Any]:
        """{"policy", "rollout", "rules", "files", "notices"}: what is in force, and what was not taken."""
        self._decide(principal)
        return {**self._explainer.in_force(), "notices": self._notices()}

    async def explain(self, principal: Principal, asked: Asked) -> dict[str, Any]:
        """Which rule decides, by the policy that is in force. Raises GatewayError invalid."""
        self._decide(principal)
        return self._explainer.explain(asked)

    async def sessions(self, principal: Principal) -> list[dict[str, Any]]:
        """Everybody's, oldest first."""
        self._decide(principal)
        return [_whose(session) for session in self._gateway.live()]

    async def session(self, principal: Principal, session_id: str) -> dict[str, Any]:
        """With its transcript, which is metadata. Raises GatewayError not_found."""
        self._decide(principal)
        return {**_whose(self._live(session_id)), "transcript": await self._journal.transcript(session_id)}

    async def history(self, principal: Principal, session_id: str) -> list[dict[str, Any]]:
        """Of anybody's session, after those of the sessions it was forked from. Raises GatewayError not_found."""
        self._decide(principal)
        return await history(self._live(session_id).id, self._journal.transcript)

    async def fork(self, principal: Principal, session_id: str, at: int) -> dict[str, Any]:
        """A new session of the same owner. Raises GatewayError not_found, invalid, not_available, limited."""
        self._decide(principal)
        return _whose(await self._gateway.fork_of(self._live(session_id), at))

    async def source(self, principal: Principal, session_id: str) -> dict[str, str]:
        """The text of the cells of anybody's session, redacted, by their ids. Raises GatewayError not_found,
        not_available."""
        self._decide(principal)
        return await self._gateway.source_of(self._live(session_id), principal)

    def require(self, principal: Principal) -> None:
        """Raises GatewayError where this is no operator."""
        self._decide(principal)

    async def close(self) -> None:
        await asyncio.gather(*self._halting.values(), return_exceptions=True)

    def _live(self, session_id: str) -> Session:
        found = next((each for each in self._gateway.live() if each.id == session_id), None)
        if found is None:
            raise GatewayError("not_found", "no such session is open; `kernel-gateway sessions list` shows them")
        return found

    def _decide(self, principal: Principal) -> None:
        decision = self._authorizer.decide(Request(principal, "admin", "", SCOPE, Context.outside(self._clock())))
        if not decision.allowed:
            raise GatewayError(decision.code, decision.reason, rule=decision.rule)

    def _check(self, part: Part, name: str) -> None:
        """A slip of the pen must not look like a switch that was set."""
        operations = self._catalog.operations
        known = {
            Part.SERVER: sorted({operation.server for operation in operations}),
            Part.OPERATION: sorted(operation.id for operation in operations),
            Part.ROLE: sorted(
                {*self._explainer.roles.servers, *(session.asker.role for session in self._gateway.live())}
            ),
            Part.FRONT_END: sorted(FRONT_ENDS),
        }.get(part)
        if known is not None and name not in known:
            what = f"no {part.replace('_', ' ')} has this name"
            raise GatewayError("invalid", f"{what}; there is {', '.join(known) or 'none'}")

    def _halt(self) -> None:
        for session in self._gateway.live():
            if session not in self._halting and (reason := session.refusal()):
                task = asyncio.create_task(session.seat.halt(reason, self._grace_seconds), name=f"halt-{session.id}")
                self._halting[session] = task
                task.add_done_callback(partial(self._halted, session))

    def _halted(self, session: Session, _: asyncio.Task[None]) -> None:
        del self._halting[session]


def _state(switch: Switch) -> dict[str, Any]:
    everything = any(off.part is Part.ALL for off in switch.off)
    return {"execute": "off" if everything else "on", "off": [asdict(off) for off in switch.off]}


def _whose(session: Session) -> dict[str, Any]:
    owner, asker = session.owner, session.asker
    return {
        **summary(session),
        "organisation": owner.organisation,
        "subject": owner.subject,
        "client": owner.client,
        "role": asker.role,
        "front_end": asker.front_end,
    }
