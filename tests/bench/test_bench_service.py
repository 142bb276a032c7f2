"""The gateway that the bench measures is the product: its parts are found, and its calls go the whole way."""

import json

from tests.bench.agent import connected
from tests.bench.figures.calls import CALL, CALLS
from tests.bench.lean import lean
from tests.bench.marks import IN_THE_KERNEL, KERNEL_IN, KERNEL_OUT, TOOL_IN, TOOL_OUT
from tests.bench.rig import gateway


async def test_a_measured_cell_calls_through_broker_and_journal_and_leaves_its_marks_in_order(tmp_path):
    async with (
        gateway(tmp_path / "state", "--no-op") as (service, invitation),
        connected(invitation["url"], invitation["token"]) as agent,
    ):
        session = (await agent.cell("1 + 1"))["session_id"]
        await service.ask("mark")
        result = await agent.cell(CALL, session)
        assert len(json.loads(result["stdout"])) == CALLS
        assert await agent.journalled(session, "operation_called") == CALLS
        at = dict(await service.ask("marks"))
    # A kernel may be busy before the gateway goes on from having sent its request.
    in_the_kernel = [TOOL_IN, IN_THE_KERNEL + "busy", IN_THE_KERNEL + "execute_reply", TOOL_OUT]
    for path in ([TOOL_IN, KERNEL_IN, KERNEL_OUT, TOOL_OUT], in_the_kernel):
        assert [at[what] for what in path] == sorted(at[what] for what in path)


async def test_the_lean_client_gets_what_the_official_one_gets(tmp_path):
    async with (
        gateway(tmp_path / "state") as (_, invitation),
        connected(invitation["url"], invitation["token"]) as official,
        lean(invitation["url"], invitation["token"]) as agent,
    ):
        session = (await agent.cell("print('é' * 1000); 6 * 7"))["session_id"]
        ours, theirs = [await client.cell("print('é' * 1000); 6 * 7", session) for client in (agent, official)]
        assert ours["result"] == theirs["result"] == "42"
        assert set(ours) == set(theirs)
        assert ours["stdout"] == theirs["stdout"]
        assert (await agent.execute("1", "no-such-session"))["code"] == "not_found"
        assert await agent.sessions() == [session]
        assert await agent.close(session) == 204
        assert await agent.sessions() == []
