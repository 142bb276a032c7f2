"""Runs a notebook's cells again in a fresh sandbox, and says of each whether it did the same.

Where it runs: inside the gateway that may know the notebook's session, for digests are keyed and records encrypted. A
known session's cells run with its owner's authority, any other's with that of callers on stdio.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import nbformat
from nbclient import NotebookClient

from catalog import Catalog
from kernel_gateway.audit.events import SourceShown
from kernel_gateway.audit.journal import Journal
from kernel_gateway.auth.principal import Principal
from kernel_gateway.auth.settings import StdioSettings
from kernel_gateway.auth.static import principal_from_settings
from kernel_gateway.broker import Broker
from kernel_gateway.broker.recorded import Recorded
from kernel_gateway.errors import GatewayError
from kernel_gateway.gateway import Gateway
from kernel_gateway.sessions.ancestry import history
from kernel_gateway.sessions.result import ExecuteResult
from kernel_gateway.sessions.services import Services
from kernel_gateway.sessions.session import Session
from kernel_gateway.sessions.settings import SessionSettings
from kernel_gateway.sessions.sources import Source, Sources
from notebooks.document import Plan, Planned
from notebooks.doors import LiveDoor, Original, RecordedDoor
from notebooks.kernel import SessionKernelManager
from notebooks.performance import Performance
from notebooks.records import Records
from notebooks.report import Report, report
from notebooks.transcript import Ran, cells


@dataclass(frozen=True, slots=True)
class Past:
    """What this gateway knows of a session: its cells by id, and while it is open their texts and its owner."""

    session_id: str = ""
    ran: Mapping[str, Ran] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    owner: Principal | None = None


@dataclass(frozen=True, slots=True)
class Replays:
    """Made once for a gateway. `stdio` says with whose authority the notebooks of unknown sessions run; `secret` keys
    what calls are known by."""

    gateway: Gateway
    services: Services
    sources: Sources
    journal: Journal
    records: Records
    catalog: Catalog
    settings: SessionSettings
    stdio: StdioSettings
    secret: bytes

    @asynccontextmanager
    async def stage(self, plan: Plan, operator: Principal, *, live: bool) -> AsyncIterator["Stage"]:
        """A fresh session that ends with the context. Raises GatewayError not_available | limited | disabled."""
        self.sources.require()
        past = await self._past(plan.session_id)
        owner = past.owner or principal_from_settings(self.stdio, self.services.clock())
        if past.sources:
            self.journal.record(
                SourceShown(
                    organisation=owner.organisation,
                    subject=operator.subject,
                    client=operator.client,
                    session_id=past.session_id,
                    reason="replayed",
                )
            )
        door = self._door(live=live)
        pausing = cast(Any, door) if live else None
        services = replace(self.services, broker=cast(Broker, door), pausing=pausing, durable=None)
        session = self.gateway.tenancy.open(owner, "replay", services)
        try:
            yield Stage(self, plan, past, session, door)
        finally:
            await self.gateway.tenancy.end(session, "replayed")

    async def _past(self, session_id: str) -> Past:
        if not session_id:
            return Past()
        session = next((each for each in self.gateway.live() if each.id == session_id), None)
        ran = {each.id: each for each in cells(await history(session_id, self.journal.transcript))}
        if session is None:
            return Past(session_id, ran)
        return Past(session_id, ran, await self.sources.exact(session_id), session.owner)

    def _door(self, *, live: bool) -> RecordedDoor | LiveDoor:
        services = self.services
        if live:
            return LiveDoor(services.broker, self.records, self.secret, services.pausing)
        record, clock = self.journal.record, services.clock
        return RecordedDoor(services.broker, self.records, self.secret, self.catalog, record, clock)


class Stage:
    """One replay under way."""

    def __init__(
        self, replays: Replays, plan: Plan, past: Past, session: Session, door: RecordedDoor | LiveDoor
    ) -> None:
        self.session = session
        self._replays, self._plan, self._past, self._door = replays, plan, past, door
        self._performance = Performance(session, replays.settings.max_timeout_seconds)
        self._seen = 0

    async def run(self) -> AsyncGenerator[Report | dict[str, Any], None]:
        """A report for each cell, and before it {"waits_for", "operations"} for each question that it waits on. The
        last is {"cells"}: what was run and shown, redacted, for a reader to compare. Raises GatewayError."""
        codes = [self._code_of(planned) for planned in self._plan.cells]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code, _ in codes])
        manager = SessionKernelManager(self._performance.run)
        client = NotebookClient(notebook, km=manager, allow_errors=True, timeout=None)
        client.kc = manager.client()
        client.reset_execution_trackers()
        told = []
        for index, planned in enumerate(self._plan.cells):
            ran, is_own = self._ran(planned), codes[index][1]
            self._door.original = await self._original(planned, ran) if is_own and ran is not None else None
            self._performance.next(ran)
            async for question in self._performance.during(client.async_execute_cell(notebook.cells[index], index)):
                yield question
            again = await self._again(self._performance.result)
            edited = ran is not None and not is_own
            yield report(index + 1, planned.id, ran, again, edited=edited, may_fail=planned.may_fail)
            told.append(self._told(codes[index][0], notebook.cells[index].outputs))
        yield {"cells": told}

    def _ran(self, planned: Planned) -> Ran | None:
        """What this gateway knows of the cell, where its digests can be compared: they mean nothing elsewhere."""
        ran = self._past.ran.get(planned.id)
        is_ours = ran is not None and ran.event["organisation"] == self.session.owner.organisation
        return ran if is_ours else None

    def _code_of(self, planned: Planned) -> tuple[str, bool]:
        """What to run, and whether it is the text that ran, which was redacted when it was exported."""
        ran, kept = self._ran(planned), self._past.sources.get(planned.id)
        if ran is None:
            return planned.source, False
        if kept is not None and planned.source in (kept.code, self._replays.sources.redact(kept.code)):
            return kept.code, True
        digest = self._replays.services.digest(ran.event["organisation"], planned.source.encode())
        return planned.source, digest == ran.event["source_digest"]

    async def _original(self, planned: Planned, ran: Ran) -> Original | None:
        kept, session_id = self._past.sources.get(planned.id), self._past.session_id
        if kept is None:
            return None
        noted = await self._replays.records.noted(session_id, ran.event["cell"])
        return Original(session_id, planned.id, kept.origin, Recorded(noted))

    async def _again(self, result: ExecuteResult) -> Ran:
        """The journal's word on the cell that has just ended; one that never ran has none."""
        events = await self._replays.journal.transcript(self.session.id, after=self._seen)
        self._seen = events[-1]["seq"] if events else self._seen
        found = cells(events)
        if not found:
            raise GatewayError(result.code or "internal", result.message or f"the cell did not run: {result.status}")
        return found[-1]

    def _told(self, code: str, outputs: list[dict[str, Any]]) -> dict[str, Any]:
        redact = self._replays.sources.redact
        return {"source": redact(code), "outputs": [_redacted(output, redact) for output in outputs]}


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    """Every text of an output; pictures are left out."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _redacted(each, redact) for name, each in value.items() if not name.startswith("image/")}
    return [_redacted(each, redact) for each in value] if isinstance(value, list) else value


async def as_lines(stage: Stage) -> AsyncGenerator[dict[str, Any], None]:
    """As the admin socket sends it: one object a line; a failure half-way is the last of them."""
    try:
        async for said in stage.run():
            yield said.json() if isinstance(said, Report) else said
    except GatewayError as error:
        yield {"code": error.code, "message": error.message}
