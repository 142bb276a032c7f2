"""Whatever the outer door refuses is in the ledger: who wanted what, and what stood against it."""

from dataclasses import replace

import pytest

from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.switch_file import Part
from kernel_gateway.sessions.result import ExecuteRequest


@pytest.fixture
async def make(gateway_settings, world_and_app):
    async def app(**sections):
        _, made = await world_and_app(gateway_settings(**sections))
        return made

    return app


async def refusals(app, session_id=""):
    events = [event for event in await app._journal.transcript(session_id) if event["kind"] == "refused"]
    return [(each["subject"], each["door"], each["action"], each["code"], each["rule"]) for each in events]


async def refused(attempt):
    with pytest.raises(GatewayError) as caught:
        await attempt
    return caught.value.code


async def test_what_lacks_its_scope(make):
    app = await make()
    me = replace(app.stdio_principal(), scopes=frozenset())
    gateway = app.gateway
    attempts = {
        "search": gateway.search(me, "anything"),
        "execute": gateway.execute(me, ExecuteRequest("1")),
        "approve": gateway.approvals(me),
        "create": gateway.create_session(me, []),
        "read": gateway.sessions(me),
        "interrupt": gateway.interrupt(me, "ses_1"),
        "delete": gateway.close_session(me, "ses_1"),
    }
    for attempt in attempts.values():
        assert await refused(attempt) == "denied"
    assert await refusals(app) == [(me.subject, "stdio", action, "denied", "scope") for action in attempts]


@pytest.mark.parametrize(
    ("policy", "code", "rule"),
    [
        ({"enabled": False}, "disabled", "disabled"),
        ({"rollout": "canary", "canary_share": 0.0}, "denied", "canary"),
    ],
)
async def test_what_the_policy_refuses(make, policy, code, rule):
    app = await make(policy=policy)
    me = app.stdio_principal()
    assert await refused(app.gateway.execute(me, ExecuteRequest("1"))) == code
    assert await refusals(app) == [(me.subject, "stdio", "execute", code, rule)]


async def test_what_is_switched_off_and_what_comes_too_often(make):
    app = await make(limits={"rates": {"search": ["1/minute per token"]}})
    me = app.stdio_principal()
    await app.gateway.search(me, "anything")
    assert await refused(app.gateway.search(me, "anything")) == "limited"
    operator = replace(me, subject="ops", scopes=frozenset({"kernel.admin"}))
    await app.operators.set_switch(operator, Part.ALL, off=True)
    assert await refused(app.gateway.execute(me, ExecuteRequest("1"))) == "disabled"
    assert await refusals(app) == [
        (me.subject, "stdio", "search", "limited", "search-per-token"),
        (me.subject, "stdio", "execute", "disabled", "kill_switch"),
    ]


async def test_a_cell_that_may_not_run_and_a_token_that_nobody_made_in_their_session(make):
    app = await make(policy={"auto_approve_risk": "critical", "denied_modules": ["socket"]})
    me = app.stdio_principal()
    session = (await app.gateway.execute(me, ExecuteRequest("1"))).session_id
    denied = await app.gateway.execute(me, ExecuteRequest("import socket", session))
    assert denied.status == "denied"
    code = await refused(app.gateway.execute(me, ExecuteRequest("1", session, approval_token="forged")))
    assert await refusals(app, session) == [
        (me.subject, "stdio", "execute", "denied", "denied_module"),
        (me.subject, "stdio", "execute", code, "approval"),
    ]
    assert code.startswith("approval_")


async def test_a_cell_whose_call_would_be_refused_anyway_is_told_by_that_rule(make):
    app = await make(policy={"auto_approve_risk": "critical", "read_only_mode": True})
    me = app.stdio_principal()
    code = "image_ops.uploads_init(content_type='image/png', size_bytes=8)"
    refused = await app.gateway.execute(me, ExecuteRequest(code, validate_only=True))
    assert refused.status == "denied", refused
    assert await refusals(app) == [(me.subject, "stdio", "execute", "disabled", "read_only")]


async def test_who_tries_anothers_session_writes_nothing_into_its_transcript(make):
    app = await make()
    me = app.stdio_principal()
    mine = (await app.gateway.execute(me, ExecuteRequest("1"))).session_id
    stranger = replace(me, subject="somebody-else")
    assert await refused(app.gateway.session(stranger, mine)) == "not_found"
    assert await refused(app.gateway.execute(stranger, ExecuteRequest("1", mine))) == "not_found"
    assert await refusals(app, mine) == []
    assert await refusals(app) == [
        ("somebody-else", "stdio", "read", "not_found", ""),
        ("somebody-else", "stdio", "execute", "not_found", ""),
    ]
