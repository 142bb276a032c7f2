"""What the inner door tells the policy of a call, and what it does with the answer."""

from dataclasses import replace

import pytest

from kernel_ext.wire import Kind


class Listening:
    """The scene's authorizer, with an ear at the door and fields to block."""

    def __init__(self, inner):
        self._inner, self.asked, self.blocked_fields = inner, [], frozenset()
        self.digest = inner.digest

    def decide(self, request):
        self.asked.append(request)
        return replace(self._inner.decide(request), blocked_fields=self.blocked_fields)


@pytest.fixture
def policy(scene):
    listening = Listening(scene.broker._services.authorizer)
    object.__setattr__(scene.broker._services, "authorizer", listening)
    return listening


async def test_a_call_says_what_is_about_to_happen(scene, policy):
    scene.answers({"name": "a"})
    await scene.call("files_get", id="x")
    await scene.call("files_touch", id=1)
    await scene.call("files_delete", ids=["a"], idempotency_key="mine")
    contexts = [request.context for request in policy.asked]
    assert [request.resource for request in policy.asked] == [
        "store:files_get",
        "store:files_touch",
        "store:files_delete",
    ]
    assert [each.risk for each in contexts] == ["low", "medium", "high"]
    assert [(each.calls_this_cell, each.writes_this_cell) for each in contexts] == [(0, 0), (1, 0), (2, 1)]
    assert [(each.calls_this_session, each.writes_this_session) for each in contexts] == [(0, 0), (1, 0), (2, 1)]
    assert [each.has_idempotency_key for each in contexts] == [False, False, True]
    assert [each.argument_bytes for each in contexts] == [
        len(b'{"id":"x"}'),
        len(b'{"id":1}'),
        len(b'{"ids":["a"],"idempotency_key":"mine"}'),
    ]
    assert {each.host for each in contexts} == {scene.server.host}
    assert all(each.has_turn for each in contexts)


async def test_counts_of_a_session_go_on_in_its_next_cell(scene, policy):
    scene.answers({})
    await scene.call("files_touch", id=1)
    scene.next_cell()
    await scene.call("files_touch", id=1)
    last = policy.asked[-1].context
    assert (last.calls_this_cell, last.writes_this_cell) == (0, 0)
    assert (last.calls_this_session, last.writes_this_session) == (1, 1)


@pytest.mark.parametrize("arguments", [None, [1], "x", {"id": float("nan")}])
async def test_arguments_that_are_none_are_asked_about_and_then_refused(scene, policy, arguments):
    reply = await scene.ask(Kind.CALL, {"operation": "store:files_get", "arguments": arguments})
    assert reply.head["code"] == "invalid"
    assert policy.asked[-1].context.argument_bytes in (0, 2)


async def test_a_delete_without_its_key_is_invalid_and_says_so(scene):
    refused = await scene.refused("files_delete", ids=[])
    assert refused["code"] == "invalid" and "idempotency_key" in refused["message"]
    assert scene.server.seen == []
    assert scene.events[-1].rule == "idempotency_key"


@pytest.mark.parametrize(("direction", "risk"), [("read", "low"), ("write", "medium")])
async def test_the_bytes_behind_a_link_are_asked_about_too(scene, policy, direction, risk):
    handle = scene.handles.mint(
        f"{scene.server.url}/blob",
        server="store",
        organisation="acme",
        session_id="s1",
        direction=direction,
        scope="files.read",
    )
    kind = Kind.READ if direction == "read" else Kind.WRITE
    scene.answers("")
    await scene.ask(kind, {"handle": handle.id})
    (asked,) = policy.asked
    assert (asked.action, asked.resource, asked.scope) == (f"blob_{direction}", "store", "files.read")
    assert (asked.context.risk, asked.context.host) == (risk, scene.server.host)


async def test_blocked_fields_are_taken_out_at_any_depth_before_anything_is_made_of_them(scene, policy):
    policy.blocked_fields = frozenset({"secret", "url", "headers"})
    link = f"{scene.server.url}/blob?sig=0123456789abcdef"
    inner = {"Secret": "s3cr3t", "kept": [{"SECRET": 1, "deep": [[{"secret": {"a": 1}, "ok": True}]]}]}
    scene.answers({"name": "a", "secret": [1], "results": [{"url": link, "size_bytes": 3}], "more": inner})
    answer = await scene.call("files_get", id="x")
    assert answer == {"name": "a", "results": [{"size_bytes": 3}], "more": {"kept": [{"deep": [[{"ok": True}]]}]}}
    assert repr(scene.handles) == "<Handles 0 in 0 sessions>"
    policy.blocked_fields = frozenset()
    assert (await scene.call("files_get", id="x"))["secret"] == [1]
