"""A second gateway on the state folder of one that runs leaves its work alone."""

import warnings

import pytest

from kernel_gateway.app import running
from kernel_gateway.embedded import embedded_world
from kernel_gateway.reference.loopback import ReferenceWorldWarning
from kernel_gateway.sessions.result import ExecuteRequest

DELETE = "image_ops.cleanup_create(ids=['job_11111111'], idempotency_key='k1').deleted"


@pytest.fixture
async def settings(gateway_settings, hold):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReferenceWorldWarning)
        _, connected = await hold(
            embedded_world(gateway_settings(policy={"auto_approve_risk": "medium"}, approvals={"join_seconds": 0.0}))
        )
    return connected


async def test_a_call_that_waits_in_one_gateway_is_still_asked_about_when_another_starts(settings):
    async with running(settings, embedded=True) as app:
        me = app.stdio_principal()
        asked = await app.gateway.execute(me, ExecuteRequest(DELETE))
        paused = await app.gateway.execute(
            me, ExecuteRequest(DELETE, asked.session_id, request_id="r", approval_token=asked.approval.token)
        )
        assert paused.status == "paused"
        async with running(settings, embedded=True):
            pass
        request = ExecuteRequest(DELETE, asked.session_id, request_id="r", approval_token=paused.approval.token)
        result = await app.gateway.execute(me, request)
        while result.status == "paused":
            result = await app.gateway.execute(me, ExecuteRequest(DELETE, asked.session_id, request_id="r"))
        assert (result.status, [call.status for call in result.calls]) == ("ok", ["ok"])
        outcomes = [
            event["outcome"]
            for event in await app.gateway.transcript(me, asked.session_id)
            if event["kind"] == "approval_ended"
        ]
        assert "void" not in outcomes
