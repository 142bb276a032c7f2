"""Roles and delegation over real kernels and the real reference world."""

from dataclasses import replace

import pytest

from kernel_gateway.auth.delegation import together
from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.limits.switch_file import Part
from kernel_gateway.sessions.result import ExecuteRequest
from tests.sessions.test_switched_off import OPERATOR

ROLES = """
[servers]
dev = ["image_ops"]
ops = ["*"]
ui = []
[delegate]
delegate_images = ["image.upload", "image.jobs.write"]
delegate_cleanup = ["image.cleanup"]
delegate_deploy = ["platform.deploy"]
"""
UPLOAD = "image_ops.uploads_init(content_type='image/png', size_bytes=9)['upload_id'][:4]"
QUOTA = "sorted(image_ops.quota_get())[:1]"


@pytest.fixture
async def app(gateway_settings, world_and_app, tmp_path):
    path = tmp_path / "roles.toml"
    path.write_text(ROLES)
    _, app = await world_and_app(gateway_settings(auth={"roles": str(path)}))
    return app


@pytest.fixture
def me(app):
    return replace(app.stdio_principal(), scopes=app.stdio_principal().scopes | {"kernel.create", "kernel.approve"})


async def run(app, principal, code, session_id=""):
    return await app.gateway.execute(principal, ExecuteRequest(code, session_id))


async def denied(app, principal, code, session_id):
    result = await run(app, principal, code, session_id)
    assert result.status == "error", result
    return [call.status for call in result.calls], result.error.evalue


async def test_a_role_without_the_server_meets_it_nowhere(app, me):
    hidden = replace(me, role="ui")
    assert (await app.gateway.search(me, "upload an image"))["total"] > 0
    found = await app.gateway.search(hidden, "upload an image")
    assert (found["total"], "role" in found["hint"]) == (0, True)
    with pytest.raises(GatewayError, match="there is none"):
        await app.gateway.search(hidden, "upload an image", server="image_ops")
    result = await run(app, hidden, "'image_ops' in dir(), search_tools('upload an image')")
    assert result.result == "(False, [])"
    by_name = "call_tool('image_ops:quota_get', {})"
    unseen = await denied(app, hidden, by_name, result.session_id)
    absent = await denied(app, hidden, by_name.replace("quota_get", "quota_gone"), result.session_id)
    assert unseen[0] == absent[0] == ["not_found"]
    assert unseen[1].replace("quota_get", "X") == absent[1].replace("quota_gone", "X")
    events = await app.gateway.transcript(hidden, result.session_id)
    assert [event["rule"] for event in events if event["kind"] == "operation_called"] == ["role", "unknown_operation"]


async def test_a_review_knows_only_what_the_caller_may_use(app, me):
    request = ExecuteRequest(QUOTA, validate_only=True)
    named = [(await app.gateway.execute(replace(me, role=role), request)).reviewed.review for role in ("dev", "ui")]
    assert [list(review.operations) for review in named] == [["image_ops:quota_get"], []]


async def test_a_session_is_handed_what_reads_and_what_is_named(app, me):
    plain = await app.gateway.create_session(me, [])
    able = await app.gateway.create_session(me, ["delegate_images", "delegate_deploy", "delegate_typo"])
    assert (plain["delegate"], plain["skipped"], plain["cells"]) == ([], [], 0)
    assert (able["delegate"], able["skipped"]) == (["delegate_images"], ["delegate_deploy", "delegate_typo"])
    reading = ["image.jobs.read", "image.quota.read", "kernel.execute", "kernel.read", "kernel.search"]
    assert plain["scopes"] == reading
    assert able["scopes"] == sorted([*reading, "image.upload", "image.jobs.write"])
    assert (await run(app, me, QUOTA, plain["session_id"])).status == "ok"
    assert await denied(app, me, UPLOAD, plain["session_id"]) == (
        ["denied"],
        "denied: the scope `image.upload` is missing; ask for a token that carries it",
    )
    assert (await run(app, me, UPLOAD, able["session_id"])).status == "ok"
    assert (await denied(app, me, "image_ops.cleanup_create(idempotency_key='a')", able["session_id"]))[0] == ["denied"]
    events = await app.gateway.transcript(me, able["session_id"])
    assert [event["flag"] for event in events if event["kind"] == "session_delegated"] == ["delegate_images"]


async def test_whoever_lacks_the_scope_can_neither_make_a_session_nor_hand_it_on(app, me):
    with pytest.raises(GatewayError, match=r"kernel\.create"):
        await app.gateway.create_session(replace(me, scopes=me.scopes - {"kernel.create"}), [])
    lesser = replace(me, scopes=me.scopes - {"image.jobs.write"})
    made = await app.gateway.create_session(lesser, ["delegate_images"])
    assert (made["delegate"], made["skipped"]) == ([], ["delegate_images"])
    assert "image.upload" not in made["scopes"]
    assert (await denied(app, me, UPLOAD, made["session_id"]))[0] == ["denied"]  # nor does a later, larger token


async def test_a_grant_ends_with_its_session(app, me):
    made = await app.gateway.create_session(me, ["delegate_images"])
    await app.gateway.close_session(me, made["session_id"])
    with pytest.raises(GatewayError) as caught:
        await run(app, me, QUOTA, made["session_id"])
    assert caught.value.code == "not_found"
    assert await app.gateway.sessions(me) == []


async def test_no_session_holds_what_approves(app, me):
    opened = await run(app, me, "1")
    made = await app.gateway.create_session(me, ["delegate_images", "delegate_cleanup"])
    grants = {session.id: session.grant for session in app.gateway.live()}
    assert grants.keys() == {opened.session_id, made["session_id"]}
    assert all("kernel.approve" not in grant for grant in grants.values())


async def test_a_later_token_in_a_greater_role_sees_no_more(app, me):
    opened = await run(app, replace(me, role="ui"), "1")
    later = replace(me, role="ops")
    result = await run(app, later, "'image_ops' in dir()", opened.session_id)
    assert result.result == "False"
    assert (await denied(app, later, "call_tool('image_ops:quota_get', {}); image_ops", opened.session_id))[0] == [
        "not_found"
    ]


async def test_a_later_token_in_a_lesser_role_can_do_less(app, me):
    opened = await run(app, me, QUOTA)
    assert opened.status == "ok"
    status, message = await denied(app, replace(me, role="ui"), QUOTA, opened.session_id)
    assert (status, "is not an operation" in message) == (["not_found"], True)


@pytest.mark.parametrize("role", ["dev", "ops"])
async def test_the_switch_of_either_role_stops_a_session_of_two(app, me, role):
    opened = await run(app, me, "1")  # as dev
    await app.operators.set_switch(OPERATOR, Part.ROLE, role, off=True, reason="a drill")
    with pytest.raises(GatewayError) as caught:
        await run(app, replace(me, role="ops"), "1", opened.session_id)
    assert caught.value.code == "disabled"


async def test_two_people_together_may_call_what_both_may(app, me):
    opened = await run(app, me, "1")
    (session,) = app.gateway.live()
    bob = replace(me, subject="bob", role="ops", scopes=me.scopes - {"image.upload"})
    usable = {each.id for each in app.gateway.catalog_for(together(bob, session.owner)).operations}
    assert usable == {each.id for each in app.gateway.catalog_for(bob).operations}
    watcher = together(replace(bob, role="ui"), session.owner)
    assert len(app.gateway.catalog_for(watcher)) == 0
    with pytest.raises(GatewayError) as caught:
        await run(app, bob, "1", opened.session_id)  # no door lets another in yet
    assert caught.value.code == "not_found"


async def test_a_roles_file_with_a_slip_starts_nothing(gateway_settings, world_and_app, tmp_path):
    path = tmp_path / "roles.toml"
    path.write_text(ROLES.replace('"image_ops"', '"image_op"'))
    with pytest.raises(ConfigError, match="`image_op`"):
        await world_and_app(gateway_settings(auth={"roles": str(path)}))
