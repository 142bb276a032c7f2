"""A real gateway over the reference world, its sessions, and their notebooks run again."""

import pytest

from kernel_gateway.sessions.result import ExecuteRequest
from notebooks.document import plan
from notebooks.export import notebook
from notebooks.report import Report

OPERATOR = "operator"


class House:
    """A gateway with an agent on stdio. `sent` are the calls that left it; `replay` gives the reports, and into
    `again` what is exported of the replay's own session."""

    def __init__(self, world, app):
        self.world, self.app, self.me, self.sent = world, app, app.stdio_principal(), []
        upstream = app.gateway._services.broker._services.upstreams["image_ops"]
        call = upstream.call

        async def counted(operation, *args, **kwargs):
            self.sent.append(operation.name)
            return await call(operation, *args, **kwargs)

        upstream.call = counted

    async def run(self, *codes, session_id=""):
        for code in codes:
            result = await self.app.gateway.execute(self.me, ExecuteRequest(code, session_id))
            session_id = result.session_id
        return session_id

    async def fork(self, session_id, at, *, in_place=False):
        return (await self.app.gateway.fork(self.me, session_id, at, in_place=in_place))["session_id"]

    async def quota(self):
        """What uploads and jobs have used up so far, as the backend says it."""
        names = "('bytes', 'images')"
        code = f"[(each.name, each.remaining) for each in image_ops.quota_get().policies if each.name in {names}]"
        return (await self.app.gateway.execute(self.me, ExecuteRequest(code))).result

    async def export(self, session_id):
        sources = await self.app.gateway.source(self.me, session_id)
        return notebook(session_id, await self.app.gateway.history(self.me, session_id), sources)

    async def replay(self, document, *, live=False, asked=lambda question: None, again=None):
        reports = []
        async with self.app.replays.stage(plan(document), self.me, live=live) as stage:
            async for said in stage.run():
                if isinstance(said, Report):
                    reports.append(said)
                elif "waits_for" in said:
                    await asked(said)
            if again is not None:
                again.update(await self.export(stage.session.id))
        return reports


@pytest.fixture
def house(gateway_settings, world_and_app):
    async def make(**sections):
        return House(*await world_and_app(gateway_settings(**sections)))

    return make
